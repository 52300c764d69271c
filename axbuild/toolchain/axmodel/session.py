"""Runs a compiled model on the simulated NPU, with onnxruntime's interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import ThreadpoolController

from axbuild.errors import AxError
from axbuild.toolchain.axmodel.container import Container
from axbuild.toolchain.axmodel.read import MalformedError, read
from axbuild.toolchain.axmodel.runners import NpuRunner, Sample, runner_of
from axbuild.toolchain.graph import Array
from axbuild.toolchain.near import nearest
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor, RangeError
from axbuild.toolchain.plain_file import read_plain

_ONNX_NAMES = {"float32": "float"}


class SessionError(AxError):
    """A run with an unknown name, or an array of another shape, dtype or range than the model takes."""

    code = "AX482"


@dataclass(frozen=True)
class NodeArg:
    """An input or output as onnxruntime describes it; the batch dimension is the largest compiled batch, of a
    model with dynamic batches the largest that was allowed."""

    name: str
    shape: list[int]
    type: str


class InferenceSession:
    """A compiled model, ready to run any number of times, on one thread.

    >>> session = InferenceSession("compiled.axmodel")
    >>> outputs = session.run(None, {"input": array})
    """

    def __init__(self, model: str | Path | bytes | Container, name: str = "") -> None:
        """`model`: a file, its bytes, or what was read of it; name: what it is called in errors, its file's own where
        nothing is given. Raises MalformedError or ForeignError (AX480, AX481), SessionError."""
        name = name or ("the model" if isinstance(model, bytes | Container) else Path(model).name)
        # Numpy's BLAS takes every core for products as small as tiles, and is ten times slower for it.
        self._blas = ThreadpoolController()
        self._container = model if isinstance(model, Container) else read(_content(model), name)
        self._groups = {number: self._container.group(number) for number in self._container.shape_groups()}
        try:
            self._runners = {item.name: runner_of(self._container, item) for item in self._container.subgraphs}
        except AxError as error:
            raise MalformedError(f"{name} is damaged: {error.sentence}") from None

    def get_inputs(self, shape_group: int = 0) -> list[NodeArg]:
        return [self._described(tensor) for tensor in self.group(shape_group).inputs]

    def get_outputs(self, shape_group: int = 0) -> list[NodeArg]:
        return [self._described(tensor) for tensor in self.group(shape_group).outputs]

    def _described(self, tensor: BoundaryTensor) -> NodeArg:
        name = _ONNX_NAMES.get(tensor.dtype, tensor.dtype)
        return NodeArg(tensor.name, list(tensor.at_batch(self._container.shown_batch)), f"tensor({name})")

    def group(self, number: int) -> Container:
        """What a shape group runs, inputs and outputs in order; raises SessionError where there is none."""
        if number not in self._groups:
            groups = ", ".join(str(group) for group in self._groups)
            raise SessionError(f"the model has no shape group {number}; it has {groups}")
        return self._groups[number]

    @property
    def source(self) -> Container:
        """The container the session runs: layouts, colour spaces, programs, digests of its sources."""
        return self._container

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array], shape_group: int = 0
    ) -> list[Array]:
        """Outputs in the order of `output_names`, or all of them.

        input_feed: name -> array of exactly the input's dtype; the batch (dimension 0, or the input's own batch axis)
        may be any number, the same for all inputs: each subgraph runs it as the largest of its compiled batches that
        fit, 9 with 1, 2, 4 as 4 + 4 + 1. shape_group: which of the model's sets of input shapes. Raises SessionError.
        """
        group = self.group(shape_group)
        if isinstance(output_names, str) or not isinstance(input_feed, Mapping):
            raise SessionError("run takes a list of output names, or None, and a dict of input arrays by name")
        outputs = {tensor.name: tensor for tensor in group.outputs}
        names = list(outputs) if output_names is None else list(output_names)
        for name in names:
            require_known(name, outputs, "output")
        samples = self._answered(group, _samples(group, input_feed))
        return [outputs[name].joined([sample[name] for sample in samples]) for name in names]

    def answers(self, samples: Sequence[Sample], shape_group: int = 0, *, layers: bool = False) -> list[Sample]:
        """For each sample, every tensor at the border of a subgraph by name; input values included.

        samples: input name -> array of one sample. layers: also every tensor inside the NPU's programs, as the NPU
        holds it (codes), under the name it has in the quantised model. Split into batches as `run` does it.
        """
        return self._answered(self.group(shape_group), [dict(sample) for sample in samples], layers=layers)

    def layers(self, shape_group: int = 0) -> tuple[str, ...]:
        """Names of the tensors inside the NPU's programs, in no order of their own: sorted."""
        return tuple(sorted(name for part in self.group(shape_group).on_npu() for name in part.layers.values()))

    def estimate(self, samples: int, shape_group: int = 0) -> tuple[int, int]:
        """(cycles, MHz) that the cost model says the NPU takes for so many samples; CPU subgraphs are not counted."""
        parts = [self._runners[part.name] for part in self.group(shape_group).on_npu()]
        runners = [part for part in parts if isinstance(part, NpuRunner)]
        cycles = sum(part.cycles(samples) for part in runners)
        return cycles, max((part.clock_mhz for part in runners), default=1)

    def _answered(self, group: Container, samples: list[Sample], *, layers: bool = False) -> list[Sample]:
        with self._blas.limit(limits=1, user_api="blas"):
            self._run(group, samples, layers=layers)
        return samples

    def _run(self, group: Container, samples: Sequence[Sample], *, layers: bool) -> None:
        try:
            for subgraph in group.subgraphs:
                self._runners[subgraph.name].run(samples, layers=layers)
        except RangeError as error:
            raise SessionError(error.sentence) from None


def _content(model: str | Path | bytes) -> bytes:
    if isinstance(model, bytes):
        return model
    try:
        return read_plain(Path(model))
    except OSError as error:
        raise SessionError(f"{model} cannot be read: {error.strerror}") from None


def _samples(group: Container, feed: Mapping[str, Array]) -> list[Sample]:
    """The samples of a feed, after every array was held against the model."""
    wanted = {tensor.name: tensor for tensor in group.inputs}
    for name in feed:
        require_known(name, wanted, "input")
    counts = {}
    for name, tensor in wanted.items():
        if name not in feed:
            raise SessionError(f"input '{name}' is missing")
        counts[name] = _count(tensor, feed[name])
    batched = {name: count for name, count in counts.items() if count}
    if len(set(batched.values())) > 1:
        shown = ", ".join(f"'{name}' {count}" for name, count in batched.items())
        raise SessionError(f"the inputs have different batches: {shown}")
    total = next(iter(batched.values()), 1)
    if odd := [t.name for t in group.outputs if t.batch_axis is None and total > 1]:
        raise SessionError(f"output '{odd[0]}' of several samples cannot be joined: give one sample at a time")
    return [{name: tensor.sample(feed[name], n) for name, tensor in wanted.items()} for n in range(total)]


def _count(tensor: BoundaryTensor, array: Array) -> int:
    """How many samples an input holds; 0 where it serves all of them."""
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(tensor.dtype):
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise SessionError(f"input '{tensor.name}' must be {tensor.dtype}, and {found} was given")
    axis = tensor.batch_axis
    size = 1 if axis is None else tensor.shape[axis]
    count = 1 if axis is None or array.ndim != len(tensor.shape) else array.shape[axis] // size
    if count < 1 or array.shape != tensor.at_batch(count):
        wanted = ", ".join("n" if place == axis else str(size) for place, size in enumerate(tensor.shape))
        raise SessionError(f"input '{tensor.name}' must have the shape [{wanted}], and {list(array.shape)} was given")
    return 0 if axis is None else count


def require_known(name: str, known: Mapping[str, object], what: str) -> None:
    """Raises SessionError with the nearest name; what: an input or output."""
    if name not in known:
        raise SessionError(
            f"the model has no {what} '{name}'; it has {', '.join(known)}",
            hint=nearest(name, known),
        )
