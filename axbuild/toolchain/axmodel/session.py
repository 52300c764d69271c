"""Runs a compiled model on the simulated NPU, with onnxruntime's interface."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.axmodel.container import Container, Subgraph, Tensor
from axbuild.toolchain.axmodel.read import MalformedError, read
from axbuild.toolchain.graph import Array
from axbuild.toolchain.npu.program.decode import decode
from axbuild.toolchain.npu.program.form import Program
from axbuild.toolchain.npu.simulator.machine import Machine

_ONNX_NAMES = {"float32": "float"}


class SessionError(AxError):
    """A run with an unknown name, or an array of another shape or dtype than the model takes."""

    code = "AX482"


@dataclass(frozen=True)
class NodeArg:
    """An input or output as onnxruntime describes it; the batch dimension is the largest compiled batch."""

    name: str
    shape: list[int]
    type: str


class InferenceSession:
    """A compiled model, ready to run any number of times.

    >>> session = InferenceSession("compiled.axmodel")
    >>> outputs = session.run(None, {"input": array})
    """

    def __init__(self, model: str | Path | bytes) -> None:
        """`model`: a file, or its bytes. Raises MalformedError or ForeignError (AX480, AX481), SessionError."""
        name = "the model" if isinstance(model, bytes) else Path(model).name
        self._container = read(_content(model), name)
        self._programs = {
            (subgraph.name, batch): _program(subgraph, batch, self._container, name)
            for subgraph in self._container.subgraphs
            for batch in self._container.batches()
        }
        self._machines: dict[tuple[str, int], Machine] = {}

    def get_inputs(self) -> list[NodeArg]:
        return [self._described(tensor) for tensor in self._container.inputs]

    def get_outputs(self) -> list[NodeArg]:
        return [self._described(tensor) for tensor in self._container.outputs]

    def _described(self, tensor: Tensor) -> NodeArg:
        shape = [tensor.shape[0] * self._container.batches()[-1], *tensor.shape[1:]]
        return NodeArg(tensor.name, shape, f"tensor({_ONNX_NAMES.get(tensor.dtype, tensor.dtype)})")

    @property
    def source(self) -> Container:
        """The container the session runs: layouts, colour spaces, programs, digests of its sources."""
        return self._container

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array], shape_group: int = 0
    ) -> list[Array]:
        """Outputs in the order of `output_names`, or all of them.

        input_feed: name -> array of exactly the input's dtype; the batch (dimension 0) may be any number, the same for
        all inputs: it runs as the largest compiled batches that fit, 9 with 1, 2, 4 as 4 + 4 + 1. Raises SessionError.
        """
        if shape_group != 0:
            raise SessionError(f"the model has one shape group, 0, and not {shape_group}")
        if isinstance(output_names, str) or not isinstance(input_feed, Mapping):
            raise SessionError("run takes a list of output names, or None, and a dict of input arrays by name")
        outputs = {tensor.name: tensor for tensor in self._container.outputs}
        names = list(outputs) if output_names is None else list(output_names)
        for name in names:
            _require_known(name, outputs, "output")
        samples = self._samples(input_feed)
        parts: list[dict[str, Array]] = []
        start = 0
        for batch in split(samples, self._container.batches()):
            parts.append(self._run_batch(input_feed, start, min(batch, samples - start), batch))
            start += batch
        return [np.concatenate([part[name] for part in parts]) for name in names]

    def _samples(self, feed: Mapping[str, Array]) -> int:
        """The batch that all inputs agree on, after every array was held against the model."""
        wanted = {tensor.name: tensor for tensor in self._container.inputs}
        for name in feed:
            _require_known(name, wanted, "input")
        counts = {}
        for name, tensor in wanted.items():
            if name not in feed:
                raise SessionError(f"input '{name}' is missing")
            counts[name] = _count(tensor, feed[name])
        if len(set(counts.values())) > 1:
            shown = ", ".join(f"'{name}' {count}" for name, count in counts.items())
            raise SessionError(f"the inputs have different batches: {shown}")
        return next(iter(counts.values()))

    def _run_batch(self, feed: Mapping[str, Array], start: int, count: int, batch: int) -> dict[str, Array]:
        """`count` samples from `start` through the programs of `batch`; where they are fewer, zeros fill it up."""
        tensors: dict[str, Array] = {}
        for tensor in self._container.inputs:
            first, last = start * tensor.shape[0], (start + count) * tensor.shape[0]
            part = np.ascontiguousarray(feed[tensor.name][first:last])
            filled = np.zeros((batch * tensor.shape[0], *tensor.shape[1:]), part.dtype)
            filled[: len(part)] = part
            tensors[tensor.name] = filled
        for subgraph in self._container.subgraphs:
            program = self._programs[subgraph.name, batch]
            ports = zip(program.inputs, subgraph.inputs, strict=True)
            results = self._machine(subgraph.name, batch).run({port.name: tensors[name] for port, name in ports})
            for port, name in zip(program.outputs, subgraph.outputs, strict=True):
                tensors[name] = results[port.name]
        return {item.name: tensors[item.name][: count * item.shape[0]] for item in self._container.outputs}

    def _machine(self, subgraph: str, batch: int) -> Machine:
        key = (subgraph, batch)
        if key not in self._machines:
            self._machines[key] = Machine(self._programs[key], self._container.params)
        return self._machines[key]


def split(samples: int, batches: Sequence[int]) -> list[int]:
    """The compiled batches that `samples` run as, largest first; the smallest one also takes a rest below it."""
    chosen: list[int] = []
    for batch in sorted(batches, reverse=True):
        chosen += [batch] * (samples // batch)
        samples %= batch
    return [*chosen, min(batches)] if samples else chosen


def _content(model: str | Path | bytes) -> bytes:
    if isinstance(model, bytes):
        return model
    try:
        return Path(model).read_bytes()
    except OSError as error:
        raise SessionError(f"{model} cannot be read: {error.strerror}") from None


def _count(tensor: Tensor, array: Array) -> int:
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(tensor.dtype):
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise SessionError(f"input '{tensor.name}' must be {tensor.dtype}, and {found} was given")
    fits = array.ndim == len(tensor.shape) and array.shape[1:] == tensor.shape[1:]
    if not fits or array.shape[0] < 1 or array.shape[0] % tensor.shape[0]:
        wanted = ", ".join(["n", *(str(size) for size in tensor.shape[1:])])
        raise SessionError(f"input '{tensor.name}' must have the shape [{wanted}], and {list(array.shape)} was given")
    return int(array.shape[0]) // tensor.shape[0]


def _require_known(name: str, known: Mapping[str, object], what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise SessionError(
            f"the model has no {what} '{name}'; it has {', '.join(known)}",
            hint=f"did you mean '{near[0]}'?" if near else "",
        )


def _program(subgraph: Subgraph, batch: int, container: Container, name: str) -> Program:
    """The decoded program, whose ports are the subgraph's tensors at that batch."""
    try:
        program = decode(subgraph.programs[batch])
    except AxError as error:
        raise MalformedError(f"{name} is damaged: {error.sentence}") from None
    tensors = container.tensors()
    for ports, names in ((program.inputs, subgraph.inputs), (program.outputs, subgraph.outputs)):
        expected = [
            (tensors[item].dtype, (tensors[item].shape[0] * batch, *tensors[item].shape[1:]))
            if item in tensors
            else None
            for item in names
        ]
        if [(port.dtype, port.shape) for port in ports] != expected or program.batch != batch:
            raise MalformedError(f"{name} is damaged: the program {subgraph.key(batch)} has other inputs and outputs")
    return program
