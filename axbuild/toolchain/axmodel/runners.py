"""Runs the subgraphs of a container on lists of samples, each on its place: the simulated NPU, or onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from axbuild.toolchain.axmodel.container import Container, CpuSubgraph, NpuSubgraph, Subgraph
from axbuild.toolchain.axmodel.cpu import CpuFile
from axbuild.toolchain.axmodel.runs import in_batches, split
from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.program.decode import decode
from axbuild.toolchain.npu.program.form import Program, ProgramError
from axbuild.toolchain.npu.simulator.machine import Machine

Sample = dict[str, Array]
"""tensor name -> its array, of one sample"""


class Runner(Protocol):
    """One subgraph, ready to run any number of times."""

    def run(self, samples: Sequence[Sample], *, layers: bool = False) -> None:
        """Add the outputs to each of the samples; layers: and what is inside, where that can be seen."""


def runner_of(container: Container, subgraph: Subgraph) -> Runner:
    """Raises AxError where a program or file is not what the container says."""
    return CpuRunner(container, subgraph) if isinstance(subgraph, CpuSubgraph) else NpuRunner(container, subgraph)


class CpuRunner:
    """One sample after another, through the subgraph's own file."""

    def __init__(self, container: Container, subgraph: CpuSubgraph) -> None:
        tensors = container.tensors()
        inputs, outputs = ([tensors[name] for name in side] for side in (subgraph.inputs, subgraph.outputs))
        self._subgraph = subgraph
        self._file = CpuFile(subgraph.content, inputs, outputs, subgraph.name)

    def run(self, samples: Sequence[Sample], *, layers: bool = False) -> None:
        for sample in samples:
            found = self._file.run([sample[name] for name in self._subgraph.inputs])
            sample.update(zip(self._subgraph.outputs, found, strict=True))


class NpuRunner:
    """Samples side by side along axis 0, as the largest batches that the subgraph has programs for; zeros fill up
    one that is larger than what is left."""

    def __init__(self, container: Container, subgraph: NpuSubgraph) -> None:
        tensors = container.tensors()
        self._inputs, self._outputs = (
            tuple(tensors[name] for name in side) for side in (subgraph.inputs, subgraph.outputs)
        )
        self._params = container.params_of(subgraph)
        self._layers = subgraph.layers
        self._machines: dict[int, Machine] = {}
        self._programs = {batch: self._decoded(subgraph, batch) for batch in subgraph.programs}

    def _decoded(self, subgraph: NpuSubgraph, batch: int) -> Program:
        """The program, whose ports are the subgraph's tensors at that batch."""
        program = decode(subgraph.programs[batch])
        for ports, tensors in ((program.inputs, self._inputs), (program.outputs, self._outputs)):
            expected = [(tensor.carried, _rows(tensor, batch)) for tensor in tensors]
            if [(port.dtype, port.shape) for port in ports] != expected or program.batch != batch:
                raise ProgramError(f"the program {subgraph.key(batch)} has other inputs and outputs")
        if unknown := subgraph.layers.keys() - {tensor.name for tensor in program.activations}:
            raise ProgramError(f"the program {subgraph.key(batch)} has no tensor '{min(unknown)}'")
        return program

    @property
    def clock_mhz(self) -> int:
        return next(iter(self._programs.values())).clock_mhz

    def cycles(self, samples: int) -> int:
        """Estimated cycles of so many samples."""
        return sum(self._programs[batch].max_cycle for batch in split(samples, tuple(self._programs)))

    def run(self, samples: Sequence[Sample], *, layers: bool = False) -> None:
        for chunk, batch in in_batches(samples, tuple(self._programs)):
            self._run(chunk, batch, self._layers if layers else {})

    def _run(self, samples: Sequence[Sample], size: int, layers: Mapping[str, str]) -> None:
        program = self._programs[size]
        feed: dict[str, Array] = {}
        for port, tensor in zip(program.inputs, self._inputs, strict=True):
            held = [tensor.to_npu(sample[tensor.name]) for sample in samples]
            blank = np.zeros_like(held[0])
            feed[port.name] = np.concatenate([*held, *(blank for _ in range(size - len(held)))])
        results = self._machine(size).run(feed, tuple(layers))
        for port, tensor in zip(program.outputs, self._outputs, strict=True):
            rows = tensor.shape[0]
            for number, sample in enumerate(samples):
                part = results[port.name][number * rows : (number + 1) * rows]
                sample[tensor.name] = tensor.from_npu(part)
        for own, name in layers.items():
            rows = len(results[own]) // size
            for number, sample in enumerate(samples):
                sample[name] = results[own][number * rows : (number + 1) * rows]

    def _machine(self, size: int) -> Machine:
        if size not in self._machines:
            self._machines[size] = Machine(self._programs[size], self._params)
        return self._machines[size]


def _rows(tensor: BoundaryTensor, batch: int) -> tuple[int, ...]:
    """On the NPU samples lie along axis 0, whatever the axis outside: more than one only where that is 0 too."""
    return (tensor.shape[0] * batch, *tensor.shape[1:])
