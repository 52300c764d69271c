"""Runs a program job by job on real bytes: what is read and written are the program's own byte ranges."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.graph import Array
from axbuild.toolchain.near import nearest
from axbuild.toolchain.npu.program.form import OCM, SWAP, Activation, Job, Operand, Program, ProgramError
from axbuild.toolchain.npu.simulator.base import KeptRoom, Run, ValueRangeError
from axbuild.toolchain.npu.simulator.registry import KERNELS

Step = tuple[Run, list[Array], list[Array]]

_MISFITS = (ValueError, IndexError, TypeError, OverflowError, ZeroDivisionError, MemoryError)
"""what numpy raises where a damaged program gives a kernel shapes or constants that contradict each other"""


class InputError(AxError):
    """AX401: an input of a simulation, or a tensor to watch, that is missing, unknown, or of another shape or dtype."""

    code = "AX401"


class Machine:
    """The memories of one program, with every job bound to its bytes; `run` may be called any number of times.

    params: the linked parameter constant, as bytes-like.
    """

    def __init__(self, program: Program, params: bytes) -> None:
        self.program = program
        self.params = np.frombuffer(params, dtype=np.uint8)
        for blob in program.blobs:
            if blob.offset + blob.size > self.params.size:
                raise ProgramError(f"Blob {blob.digest} lies outside the {self.params.size} bytes of parameters.")
        self.memory = {name: np.zeros(max(1, program.region(name).size), np.uint8) for name in (OCM, SWAP)}
        self.memory |= {name: np.zeros(max(1, port.bytes), np.uint8) for name, port in program.ports().items()}
        room = KeptRoom()
        self.steps = [self._bind(job, room) for job in program.jobs]

    def _bind(self, job: Job, room: KeptRoom) -> Step:
        kernel = KERNELS.get(job.kernel)
        if kernel is None or len(job.inputs) != kernel.sources or len(job.outputs) != 1:
            raise ProgramError(f"Job {job.index} ({job.label}): '{job.kernel}' is no kernel of these operands.")
        try:
            attr = kernel.attr.read(job.attr)
        except ProgramError as error:
            raise ProgramError(f"Job {job.index} ({job.label}): {error.sentence}.") from None
        return kernel.of_job(attr, room), [self.view(o) for o in job.inputs], [self.view(o) for o in job.outputs]

    def view(self, operand: Operand) -> Array:
        if operand.blob >= 0:
            return _array(operand, self.params, self.program.blobs[operand.blob].offset)
        return _array(operand, self.memory[operand.region])

    def run(self, inputs: dict[str, Array], watch: Sequence[str] = ()) -> dict[str, Array]:
        """inputs and result: port name -> array of exactly the port's shape and dtype.

        watch: tensors of the net that the result holds too, under their names, in ONNX order and shape, batch included.
        """
        watched = [self._activation(name) for name in watch]
        self._take(inputs)
        copies = self._copies(watched)
        for job, (run, sources, targets) in zip(self.program.jobs, self.steps, strict=True):
            try:
                run(sources, targets)
            except ValueRangeError as error:
                raise ValueRangeError(f"Job {job.index} ({job.label}): {error.sentence}.") from None
            except _MISFITS as error:
                raise ProgramError(
                    f"Job {job.index} ({job.label}): the operands and attributes do not fit '{job.kernel}'."
                ) from error
            operand = job.outputs[0]
            if operand.dense and operand.tensor in copies:
                _array(operand.in_dense, copies[operand.tensor])[...] = targets[0]
        found = {port.name: self._port(port.name).copy() for port in self.program.outputs}
        return found | {activation.name: self._seen(activation, copies) for activation in watched}

    def _activation(self, name: str) -> Activation:
        known = {activation.name: activation for activation in self.program.activations}
        if name not in known:
            raise InputError(f"The program has no tensor '{name}' to watch.", hint=nearest(name, known))
        return known[name]

    def _copies(self, watched: list[Activation]) -> dict[str, Array]:
        """Dense copies that the watched tensors lie in, still empty."""
        wanted = {name for activation in watched for name, _ in activation.parts}
        return {n: np.zeros(size, np.uint8) for n, size in self.program.dense_bytes().items() if n in wanted}

    def _seen(self, activation: Activation, copies: dict[str, Array]) -> Array:
        memory = self.memory | copies
        parts = [
            np.ndarray(activation.part_shape, activation.dtype, memory[name].data, begin, activation.strides)
            for name, begin in activation.parts
        ]
        return np.concatenate(parts)

    def _port(self, name: str) -> Array:
        port = self.program.ports()[name]
        return np.ndarray(port.shape, port.dtype, self.memory[name].data)

    def _take(self, inputs: dict[str, Array]) -> None:
        wanted = {port.name: port for port in self.program.inputs}
        for name in sorted(set(inputs) ^ set(wanted)):
            raise InputError(f"Input '{name}' is {'missing' if name in wanted else 'not an input of the program'}.")
        for name, port in wanted.items():
            array = inputs[name]
            if array.shape != port.shape or array.dtype != np.dtype(port.dtype):
                raise InputError(
                    f"Input '{name}' must be {port.dtype} {list(port.shape)}, got {array.dtype} {list(array.shape)}."
                )
            self._port(name)[...] = array


def _array(operand: Operand, memory: Array, offset: int = 0) -> Array:
    """The operand in bytes that start at `offset` of `memory`."""
    return np.ndarray(operand.shape, operand.dtype, memory.data, offset + operand.begin, operand.strides)


def simulate(program: Program, params: bytes, inputs: dict[str, Array]) -> dict[str, Array]:
    """Outputs (port name -> array) of a linked program; for many runs keep a `Machine`."""
    return Machine(program, params).run(inputs)
