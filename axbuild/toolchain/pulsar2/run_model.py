"""What `pulsar2 run` runs, told by its content: a compiled model, a quantised one, or any other ONNX model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from axbuild.errors import AxError, other_file
from axbuild.toolchain import ort
from axbuild.toolchain.axmodel.container import META_BACKEND
from axbuild.toolchain.axmodel.runners import Sample
from axbuild.toolchain.axmodel.session import InferenceSession
from axbuild.toolchain.axmodel.vendor import is_vendors
from axbuild.toolchain.door import door
from axbuild.toolchain.frontend.parsed import NotOnnxError, parsed
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.base import DOMAIN
from axbuild.toolchain.npu.plan.boundary import FROM_DATA, BoundaryTensor

COMPILED, QUANTISED, FLOAT = "a compiled model", "a quantised model", "an ONNX model"


class RunModelError(AxError):
    """AX573: a file that is no model, or one that does not run."""

    code = "AX573"


class RunModel(Protocol):
    """A model, ready to run. names: the tensors that it answers with; count: samples that each of its inputs holds."""

    @property
    def inputs(self) -> Sequence[BoundaryTensor]: ...
    @property
    def names(self) -> Sequence[str]: ...
    @property
    def count(self) -> int: ...

    def run(self, feed: Mapping[str, Array]) -> Mapping[str, Array]:
        """Each of `names`, all samples of it in one array."""


def sort_of(model: ModelProto) -> str:
    """COMPILED, QUANTISED or FLOAT."""
    if any(entry.key == META_BACKEND for entry in model.metadata_props) or is_vendors(model):
        return COMPILED
    return QUANTISED if any(node.domain == DOMAIN for node in model.graph.node) else FLOAT


def model_in(content: bytes, name: str) -> ModelProto:
    """The model of the file `name`; raises RunModelError where that holds none."""
    if other := other_file(content):
        raise RunModelError(f"{name} {other[0]}", hint=other[1])
    try:
        model = parsed(content)
    except NotOnnxError as error:
        raise RunModelError(error.sentence(name, "no model, or it is cut off"), hint=error.hint) from None
    if not model.graph.node:
        raise RunModelError(f"{name} is no model: it holds no graph with nodes")
    return model


class CompiledRun:
    """A compiled model on the simulated NPU; `count` samples run as the largest compiled batches that fit."""

    def __init__(self, session: InferenceSession, group: int, count: int, *, layers: bool) -> None:
        """count: 0 for the largest compiled batch; layers: answer with inner tensors too. Raises SessionError where
        there is no such group, RunModelError where answers of several samples cannot be joined."""
        container = session.group(group)
        self.inputs = container.inputs
        self.count = count or container.batches()[-1]
        self._session, self._group, self._layers = session, group, layers
        tensors = (*container.outputs, *container.inner) if layers else container.outputs
        self._tensors = {tensor.name: tensor for tensor in tensors}
        self.names = tuple(dict.fromkeys((*self._tensors, *(session.layers(group) if layers else ()))))
        if odd := [name for name, tensor in self._tensors.items() if tensor.batch_axis is None]:
            self._require_one(odd[0])

    def _require_one(self, name: str) -> None:
        if self.count > 1:
            raise RunModelError(
                f"'{name}' of {self.count} samples cannot be joined in one file", hint="run it with --batch_size 1"
            )

    def run(self, feed: Mapping[str, Array]) -> Mapping[str, Array]:
        samples = [{one.name: one.sample(feed[one.name], n) for one in self.inputs} for n in range(self.count)]
        answers = self._session.answers(samples, self._group, layers=self._layers)
        return {name: self._joined(name, [answer[name] for answer in answers]) for name in self.names}

    def _joined(self, name: str, arrays: list[Array]) -> Array:
        tensor = self._tensors.get(name)
        return tensor.joined(arrays) if tensor else np.concatenate(arrays)


class OnnxRun:
    """A model in onnxruntime: one run takes what its inputs say."""

    count = 1

    def __init__(self, file: Path, content: bytes, model: ModelProto, *, layers: bool) -> None:
        """content, model: of the file, beside which its data are. layers: answer with what each node makes, too; the
        model is then changed. Raises RunModelError where onnxruntime does not take it."""
        self._name = file.name
        # A quantised model is run as it is written; a float one as every float pass of ours runs it.
        level = "off" if sort_of(model) == QUANTISED else "basic"
        if layers:
            _show_inner(model)
            content = model.SerializeToString()
        with door(self._error):
            self._session = ort.bare_session(content, level=level, data=file.resolve().parent)
        wanted = {item.name for item in self._session.get_inputs()}
        self.inputs = [_tensor(info, file.name) for info in model.graph.input if info.name in wanted]
        self.names = [item.name for item in self._session.get_outputs() if item.type.startswith("tensor(")]
        if odd := [item for item in model.graph.output if item.type.HasField("sequence_type")]:
            raise RunModelError(f"output '{odd[0].name}' of {file.name} is a sequence, and no tensor")

    def _error(self, said: str) -> RunModelError:
        return RunModelError(f"onnxruntime does not run {self._name}: {said}")

    def run(self, feed: Mapping[str, Array]) -> Sample:
        with door(self._error):
            found = self._session.run(self.names, dict(feed))
        return dict(zip(self.names, found, strict=True))


def _show_inner(model: ModelProto) -> None:
    """Make an output of everything that a node of the graph makes."""
    graph = model.graph
    known = {info.name: info for info in graph.value_info}
    shown = {info.name for info in graph.output}
    made = dict.fromkeys(name for node in graph.node for name in node.output if name)
    graph.output.extend(known.get(name) or ValueInfoProto(name=name) for name in made if name not in shown)


def _tensor(info: ValueInfoProto, model: str) -> BoundaryTensor:
    kind = info.type.tensor_type
    dtype = _dtype(kind.elem_type)
    if not info.type.HasField("tensor_type") or not dtype or not kind.HasField("shape"):
        raise RunModelError(f"input '{info.name}' of {model} is no tensor of numbers, whose shape is known")
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else FROM_DATA for dim in kind.shape.dim)
    if shape.count(FROM_DATA) > 1:
        names = ", ".join(dim.dim_param or str(dim.dim_value) for dim in kind.shape.dim)
        raise RunModelError(
            f"input '{info.name}' of {model} leaves several sizes open: [{names}]",
            hint="a raw file tells one of them; fix the others in the model",
        )
    return BoundaryTensor(info.name, dtype, shape)


def _dtype(number: int) -> str:
    """numpy's name of an ONNX element type; "" of one that is no number of whole bytes."""
    if number not in TensorProto.DataType.values() or number in (TensorProto.UNDEFINED, TensorProto.STRING):
        return ""
    dtype = helper.tensor_dtype_to_np_dtype(number)
    return dtype.name if dtype.kind in "biuf" else ""
