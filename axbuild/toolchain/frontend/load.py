"""A folder with an ONNX file -> a valid, supported model, its weights as arrays; nothing outside the folder is read."""

from __future__ import annotations

import mmap
import re
import stat
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto

from axbuild.errors import LONGEST_MAGIC, AxError, other_file
from axbuild.toolchain.door import door
from axbuild.toolchain.frontend import wire
from axbuild.toolchain.frontend.ends import WHOLE, Ends, cut
from axbuild.toolchain.frontend.light import INLINE_BYTES, LightModel, array_bytes, is_large
from axbuild.toolchain.frontend.naming import name_nodes
from axbuild.toolchain.frontend.nested import all_constants, all_nodes
from axbuild.toolchain.frontend.read_named import read_named
from axbuild.toolchain.frontend.support import TENSOR_TYPES, require_supported
from axbuild.toolchain.frontend.text import broken_text
from axbuild.toolchain.frontend.to_float32 import to_float32
from axbuild.toolchain.frontend.wiring import InvalidModelError, require_wired
from axbuild.toolchain.graph import IR_VERSION, OPSET, Array

SIZE_LIMIT = 2**31 - 1
"""bytes; protobuf's own limit for one message"""


class NotAModelError(AxError):
    """The folder holds no single ONNX file, or the file is not one."""

    code = "AX300"


class ExternalDataError(AxError):
    """A weight's external file is missing, too short, or not where a model may read."""

    code = "AX301"


def load(folder: Path, ends: Ends = WHOLE) -> LightModel:
    """The one .onnx file in `folder` with its external data, cut to `ends`.

    Nodes have unique names and the default domain is spelled "". Raises UnsupportedModelError with all that the front
    end does not take, InvalidModelError where ONNX's checker refuses the graph.
    """
    file = only_model(folder)
    return accepted(read(file), file.name, ends)


def accepted(model: LightModel, name: str, ends: Ends = WHOLE) -> LightModel:
    """The model that the file `name` holds, cut and looked over; see `load`."""
    _one_default_domain(model.proto)
    _tidy(model.proto)
    name_nodes(model.proto.graph.node)
    read_named(model.proto)
    require_wired(model)
    cut(model, ends)
    require_supported(model)
    _lower_opset(model.proto)
    model.proto.ir_version = IR_VERSION  # an initialiser need be no input; nothing else changed since the oldest
    _check_valid(model, name)
    to_float32(model)
    return model


def only_model(folder: Path) -> Path:
    found = sorted(path for path in folder.rglob("*") if path.suffix == ".onnx")
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise NotAModelError(f"a float model needs exactly one .onnx file among its sources, found {names}")
    size = found[0].stat().st_size
    if not size:
        raise NotAModelError(f"{found[0].name} is empty")
    if size > SIZE_LIMIT:
        raise NotAModelError(
            f"{found[0].name} has {size} bytes, more than the {SIZE_LIMIT} that one ONNX file may have",
            hint="save the model with its weights as external data",
        )
    return found[0]


def read(file: Path) -> LightModel:
    """An ONNX file with its external data, its weights as arrays; raises NotAModelError, ExternalDataError."""
    with (
        file.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as content,
    ):
        if other := other_file(bytes(content[:LONGEST_MAGIC])):
            raise NotAModelError(f"{file.name} {other[0]}", hint=other[1])
        try:
            light, cuts = wire.cut(content, INLINE_BYTES)
            model = ModelProto.FromString(light)
            for item in cuts:
                if item.stub.data_type not in TENSOR_TYPES:  # codes of 4 bits, or refused for its type
                    item.stub.raw_data = bytes(content[item.start : item.start + item.length])
        except (wire.NoMessageError, DecodeError):
            raise NotAModelError(
                f"{file.name} is not an ONNX model, or it is cut off: its {len(content)} bytes do not parse",
                hint="fetch or export the file again",
            ) from None
    if field := _broken_text(model, [item.stub for item in cuts]):
        raise NotAModelError(f"{file.name} is damaged: a {field} in it is not text")
    if not model.HasField("graph") or not model.graph.node or not model.opset_import:
        raise NotAModelError(f"{file.name} is not an ONNX model: it holds no graph with nodes and an opset")
    named = [*(tensor.name for tensor in model.graph.initializer), *(item.stub.name for item in cuts)]
    if twice := [name for name, count in Counter(named).items() if count > 1]:
        raise InvalidModelError(f"{file.name} is not a valid ONNX model: it has two initialisers named '{twice[0]}'")
    _forget_inputs(model, set(named))
    result = LightModel(model)
    for item in cuts:
        if item.stub.data_type in TENSOR_TYPES:
            _move_out(result, item.stub, file, item.start, item.length)
        else:
            model.graph.initializer.append(item.stub)
    _read_inner(result, file.parent)
    return result


def _forget_inputs(model: ModelProto, weights: set[str]) -> None:
    """Before IR version 4 every initialiser was an input too."""
    kept = [value for value in model.graph.input if value.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _broken_text(model: ModelProto, stubs: list[TensorProto]) -> str:
    return next((field for message in (model, *stubs) if (field := broken_text(message))), "")


def _move_out(model: LightModel, tensor: TensorProto, file: Path, start: int, length: int) -> None:
    """Read the tensor's elements from `file` as one of the model's weights."""
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    if length != array_bytes(tensor):
        raise InvalidModelError(
            f"initialiser '{tensor.name}' is {dtype} {list(tensor.dims)}, {array_bytes(tensor)} bytes, "
            f"and the model has {length} for it"
        )
    array: Array = np.fromfile(file, dtype, length // dtype.itemsize, offset=start).reshape(tuple(tensor.dims))
    model.move_out(tensor.name, array, tensor.data_type)


def _read_inner(model: LightModel, folder: Path) -> None:
    """Weights in external files, and large ones that are no raw bytes, out of the message."""
    for _, tensor in all_constants(model.proto):
        if tensor.data_location == TensorProto.EXTERNAL:
            file, start, length = external_place(tensor, folder)
            with file.open("rb") as stream:
                stream.seek(start)
                tensor.raw_data = stream.read(length)
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
    small = []
    for tensor in model.proto.graph.initializer:
        if tensor.data_type not in TENSOR_TYPES:
            small.append(tensor)
            continue
        if tensor.data_location == TensorProto.EXTERNAL:
            _move_out(model, tensor, *external_place(tensor, folder))
            continue
        array = _array(tensor)
        if is_large(tensor.ByteSize()):
            model.move_out(tensor.name, array, tensor.data_type)
        else:
            small.append(tensor)
    del model.proto.graph.initializer[:]
    model.proto.graph.initializer.extend(small)


def _array(tensor: TensorProto) -> Array:
    with door(lambda said: InvalidModelError(f"initialiser '{tensor.name}' is not {list(tensor.dims)}: {said}")):
        array: Array = onnx.numpy_helper.to_array(tensor)
    return array


def external_place(tensor: TensorProto, folder: Path) -> tuple[Path, int, int]:
    """(file, offset, length) of a tensor stored outside; raises ExternalDataError on whatever leaves `folder`."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    file = _inside(folder, location, tensor.name)
    size = file.stat().st_size
    offset = _count(entries.get("offset", "0"), "offset", tensor.name)
    length = _count(entries.get("length", str(max(size - offset, 0))), "length", tensor.name)
    if offset + length > size:
        raise ExternalDataError(
            f"the data of tensor '{tensor.name}' ends at byte {offset + length} of {location}, "
            f"and the file has {size} bytes",
            hint="the data file is cut off or belongs to another model",
        )
    return file, offset, length


def _inside(folder: Path, location: str, tensor: str) -> Path:
    """The regular file `location` names below `folder`; no absolute path, no "..", no link on the way."""
    parts = PurePosixPath(location).parts
    if not location or PurePosixPath(location).is_absolute() or PureWindowsPath(location).drive or ".." in parts:
        raise ExternalDataError(
            f"tensor '{tensor}' has its data at '{location}', which is not inside the model's folder"
        )
    file = folder
    for part in parts:
        file = file / part
        if file.is_symlink():
            raise ExternalDataError(f"the data file '{location}' of tensor '{tensor}' is a link")
    if not file.exists() or not stat.S_ISREG(file.stat().st_mode):
        raise ExternalDataError(
            f"the data file '{location}' of tensor '{tensor}' is missing",
            hint="external data files must stand beside the model, under the names the model has for them",
        )
    return file


def _count(text: str, what: str, tensor: str) -> int:
    if not text.isdecimal():
        raise ExternalDataError(f"the {what} '{text}' of tensor '{tensor}' in its data file is not a number of bytes")
    return int(text)


def _one_default_domain(model: ModelProto) -> None:
    """ONNX's own domain may be spelled "ai.onnx"; everything behind knows it as ""."""
    for node in all_nodes(model):
        if node.domain == "ai.onnx":
            node.domain = ""
    for owner in (model, *model.functions):
        stated = {entry.domain for entry in owner.opset_import}
        for entry in list(owner.opset_import):
            if entry.domain == "ai.onnx" and "" in stated:
                owner.opset_import.remove(entry)
            elif entry.domain == "ai.onnx":
                entry.domain = ""


def _tidy(model: ModelProto) -> None:
    """Domains that no node is of go, whatever their version; a graph has a name, which nobody reads."""
    used = {"", *(node.domain for node in all_nodes(model)), *(function.domain for function in model.functions)}
    for entry in list(model.opset_import):
        if entry.domain not in used:
            model.opset_import.remove(entry)
    model.graph.name = model.graph.name or "graph"


def _lower_opset(model: ModelProto) -> None:
    """A later opset says the same of every operator that the model has, or it would not be supported."""
    for owner in (model, *model.functions):
        for entry in owner.opset_import:
            if not entry.domain:
                entry.version = min(entry.version, OPSET)


def _check_valid(model: LightModel, name: str) -> None:
    """ONNX's checker, less its demand that inputs and outputs state a shape: inference knows better."""
    graph = model.proto.graph
    # Only a tensor's type: reading another's would set it.
    tensors = [value.type for value in (*graph.input, *graph.output) if value.type.HasField("tensor_type")]
    shapeless = [item.tensor_type for item in tensors if not item.tensor_type.HasField("shape")]
    for tensor in shapeless:
        tensor.shape.SetInParent()
    counted = Counter(value.name for value in graph.output)
    if twice := [name for name, count in counted.items() if count > 1]:
        raise InvalidModelError(f"{name} is not a valid ONNX model: it has two outputs named '{twice[0]}'")
    with door(lambda said: InvalidModelError(f"{name} is not a valid ONNX model: {_at_node(said)}", hint=_AGAIN)):
        onnx.checker.check_model(model.proto)
    for tensor in shapeless:
        tensor.ClearField("shape")


_AGAIN = "`onnx.checker.check_model` says the same: mend the node, or export the model again"
_CONTEXT = re.compile(r"^(.*?)\.? ==> Context: Bad node spec for node\. Name: (.*) OpType: (\w+)$")


def _at_node(said: str) -> str:
    """The checker's words, which name the node at their end, with the node before them."""
    found = _CONTEXT.match(said)
    return f"node '{found[2]}' ({found[3]}): {found[1]}" if found else said
