"""Stage: run the float model over samples and keep what quantisation wants to know of each tensor.

One float pass through onnxruntime at its basic optimisation level, on one thread, one sample at a time. The tensors
that decide a scale are outputs bound to buffers of ours, so nothing is allocated or copied a sample. There are two sets
of them: while one sample is looked at, a second thread computes the next.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from axbuild.progress import tell
from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import (
    InputData,
    SampleMismatchError,
    bind,
    load_sample,
    paired,
    tensor_input,
)
from axbuild.toolchain.graph import Array, Shape, model_file
from axbuild.toolchain.quant.observer import Observer, TensorObserver
from axbuild.toolchain.quant.watched import read_watched
from axbuild.toolchain.refused import refused_sample

Feeds = dict[str, Array]


@dataclass(frozen=True)
class ObserveParams:
    """inputs: how the samples of each folder become a tensor; the name "" means every input that has no other."""

    inputs: tuple[InputData, ...]


def observe(model: Path, watch: Path, samples: list[Path], out: Path, *, params: ObserveParams) -> None:
    """Write `statistics.msgpack` of the tensors on the watch list over all samples; samples[i] is the folder for
    params.inputs[i].

    Raises SampleMismatchError where samples do not fit the inputs, SampleNotFiniteError where a tensor is not finite.
    """
    observer = observer_of(watch)
    float_pass = FloatPass(model, tuple(observer.tensors))
    for name, values in one_ahead(float_pass, sample_feeds(float_pass.inputs, samples, params.inputs)):
        observer.see(name, values)
    observer.statistics().write(out / "statistics.msgpack")


def observer_of(watch: Path) -> Observer:
    return Observer({row.name: TensorObserver(row.axis) for row in read_watched(watch)})


def sample_feeds(
    ports: dict[str, FloatInput], folders: list[Path], inputs: tuple[InputData, ...]
) -> Iterator[tuple[str, Feeds]]:
    """(sample name, input name -> array) of every sample, in order of name."""
    sources = bind(inputs, list(ports))
    rows = paired(folders, inputs)
    for place, (name, files) in enumerate(rows):
        tell("sample", place + 1, len(rows))
        loaded = [load_sample(file) for file in files]
        tensors = {data.name: tensor_input(loaded[index], data) for data, index in sources}
        for key, array in tensors.items():
            port = ports[key]
            if array.shape != port.shape or array.dtype != port.dtype:
                raise SampleMismatchError(
                    f"sample '{name}' is {array.dtype} {list(array.shape)}, "
                    f"and the model's input '{key}' takes {port.dtype} {list(port.shape)}"
                )
        yield name, tensors


def one_ahead(float_pass: FloatPass, samples: Iterable[tuple[str, Feeds]]) -> Iterator[tuple[str, dict[str, Array]]]:
    """(sample name, tensor name -> array) of every sample in its order, the next one being computed meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        name, running = "", None
        for following, feeds in samples:
            begun = thread.submit(_run, float_pass, following, feeds)
            if running is not None:
                yield name, running.result()
            name, running = following, begun
        if running is not None:
            yield name, running.result()


def _run(float_pass: FloatPass, name: str, feeds: Feeds) -> dict[str, Array]:
    with refused_sample(name):
        return float_pass.run(feeds)


@dataclass(frozen=True)
class FloatInput:
    """An input of the float model."""

    shape: Shape
    dtype: np.dtype[Any]


class FloatPass:
    """A session of the float model that also writes inner tensors, into two sets of buffers in turn."""

    def __init__(self, model: Path, tensors: tuple[str, ...]) -> None:
        file = model_file(model)
        proto = onnx.load(file, load_external_data=False)
        self.inputs = {value.name: _port(value) for value in proto.graph.input}
        shapes = _expose(proto, tensors)
        self.session = ort.open_session(proto.SerializeToString(), data=file.parent)
        self.unmeasured = [value.name for value in proto.graph.output if value.name not in shapes]
        self.turns = itertools.cycle([self._bound(shapes), self._bound(shapes)])

    def _bound(self, shapes: dict[str, Shape]) -> tuple[Any, dict[str, Array]]:
        """A binding of the outputs and their buffers."""
        binding = self.session.io_binding()
        buffers = _buffers(shapes)
        for name, buffer in buffers.items():
            binding.bind_output(name, "cpu", 0, buffer.dtype, buffer.shape, buffer.ctypes.data)
        return binding, buffers

    def run(self, feeds: Feeds) -> dict[str, Array]:
        """One sample's inputs and tensors; they hold until the run after the next."""
        binding, buffers = next(self.turns)
        kept = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
        for name, array in kept.items():
            binding.bind_input(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for name in self.unmeasured:
            # Into onnxruntime's own memory, anew each time: what it gave for one sample may not fit the next.
            binding.bind_output(name, "cpu")
        self.session.run_with_iobinding(binding)
        return kept | buffers


def _buffers(shapes: dict[str, Shape]) -> dict[str, Array]:
    """Room for float32 tensors, cut from one block: numpy asks for huge pages where a block is large."""
    starts = [0, *itertools.accumulate(math.prod(shape) for shape in shapes.values())]
    block = np.empty(starts[-1], np.float32)
    return {
        name: block[start:end].reshape(shape)
        for (name, shape), (start, end) in zip(shapes.items(), itertools.pairwise(starts), strict=True)
    }


def _port(value: onnx.ValueInfoProto) -> FloatInput:
    tensor = value.type.tensor_type
    return FloatInput(
        tuple(item.dim_value for item in tensor.shape.dim), helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    )


def _expose(proto: onnx.ModelProto, tensors: tuple[str, ...]) -> dict[str, Shape]:
    """Make the tensors graph outputs; returns the shape of each that is no input."""
    graph = proto.graph
    inputs = {value.name for value in graph.input}
    known = {value.name: value for value in (*graph.value_info, *graph.output)}
    present = {value.name for value in graph.output}
    graph.output.extend(known[name] for name in tensors if name not in present and name not in inputs)
    return {
        name: tuple(item.dim_value for item in known[name].type.tensor_type.shape.dim)
        for name in tensors
        if name not in inputs
    }
