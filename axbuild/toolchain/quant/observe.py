"""Stage: run the float model over samples and keep what quantisation wants to know of each tensor.

One float pass through onnxruntime at its basic optimisation level, on one thread, one sample at a time. The tensors
that decide a scale are outputs bound to buffers of ours, so nothing is allocated or copied a sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData, SampleMismatchError, bind, load_sample, paired, tensor_input
from axbuild.toolchain.graph import Array, Shape, model_file, shape_of
from axbuild.toolchain.ops.sites import require_supported
from axbuild.toolchain.quant.observer import Observer, TensorObserver
from axbuild.toolchain.quant.scheme import measured

Feeds = dict[str, Array]


@dataclass(frozen=True)
class ObserveParams:
    """inputs: how the samples of each folder become a tensor; the name "" means every input that has no other."""

    inputs: tuple[InputData, ...]


def observe(model: Path, samples: list[Path], out: Path, *, params: ObserveParams) -> None:
    """Write `statistics.msgpack` of the model over all samples; samples[i] is the folder for params.inputs[i].

    Raises SampleMismatchError where samples do not fit the inputs, NotFiniteError where a tensor is not finite.
    """
    loaded = ir.load(model_file(model))
    require_supported(loaded)
    graph = loaded.graph
    observer = Observer({name: TensorObserver() for name in measured(graph)})
    float_pass = FloatPass(model, tuple(observer.tensors))
    for name, feeds in _feeds(graph, samples, params.inputs):
        float_pass.run(feeds)
        observer.see(name, {**feeds, **float_pass.buffers})
    observer.statistics().write(out / "statistics.msgpack")


def _feeds(graph: ir.Graph, folders: list[Path], inputs: tuple[InputData, ...]) -> Iterator[tuple[str, Feeds]]:
    """(sample name, input name -> array) of every sample, in order of name."""
    shapes = {value.name or "": shape_of(value) for value in graph.inputs}
    sources = bind(inputs, list(shapes))
    for name, files in paired(folders):
        loaded = [load_sample(file) for file in files]
        feeds = {data.name: tensor_input(loaded[index], data) for data, index in sources}
        for key, array in feeds.items():
            if array.shape != shapes[key] or array.dtype != np.float32:
                raise SampleMismatchError(
                    f"sample '{name}' is {array.dtype} {list(array.shape)}, "
                    f"and the model's input '{key}' takes float32 {list(shapes[key])}"
                )
        yield name, feeds


class FloatPass:
    """A session of the float model that also writes inner tensors, each into its own buffer in `buffers`."""

    def __init__(self, model: Path, tensors: tuple[str, ...]) -> None:
        file = model_file(model)
        proto = onnx.load(file, load_external_data=False)
        shapes = _expose(proto, tensors)
        self.session = ort.open_session(proto.SerializeToString(), data=file.parent)
        self.binding = self.session.io_binding()
        self.buffers: dict[str, Array] = {}
        for name, shape in shapes.items():
            buffer = self.buffers[name] = np.empty(shape, np.float32)
            self.binding.bind_output(name, "cpu", 0, np.float32, shape, buffer.ctypes.data)

    def run(self, feeds: dict[str, Array]) -> None:
        """Fill the buffers from one sample."""
        kept = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
        for name, array in kept.items():
            self.binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        self.session.run_with_iobinding(self.binding)


def _expose(proto: onnx.ModelProto, tensors: tuple[str, ...]) -> dict[str, Shape]:
    """Make the tensors graph outputs; returns the shape of every output and of no input."""
    graph = proto.graph
    inputs = {value.name for value in graph.input}
    known = {value.name: value for value in (*graph.value_info, *graph.output)}
    present = {value.name for value in graph.output}
    graph.output.extend(known[name] for name in tensors if name not in present and name not in inputs)
    return {value.name: tuple(item.dim_value for item in value.type.tensor_type.shape.dim) for value in graph.output}
