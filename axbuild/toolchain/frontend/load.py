"""A folder with an ONNX file -> a checked model whose weights are all in memory; nothing outside the folder is read."""

from __future__ import annotations

import difflib
import stat
from collections import Counter
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto

from axbuild.errors import AxError
from axbuild.toolchain.frontend.text import broken_text

SIZE_LIMIT = 2**31 - 1
"""bytes; protobuf's own limit for one message"""

OLDEST_OPSET = 7
_FLOATS = {TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE}
_BRANCHES = {onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS}


class NotAModelError(AxError):
    """The folder holds no single ONNX file, or the file is not one."""

    code = "AX300"


class ExternalDataError(AxError):
    """A weight's external file is missing, too short, or not where a model may read."""

    code = "AX301"


class InvalidModelError(AxError):
    """The file is ONNX, and the graph in it is not valid."""

    code = "AX302"


class UnsupportedModelError(AxError):
    """A valid model that the front end does not take: its types, opset, control flow or domains."""

    code = "AX303"


def load(folder: Path) -> ModelProto:
    """The one .onnx file in `folder`, its external data embedded, checked by ONNX's checker and for float32."""
    file = _only_model(folder)
    model = _parse(file)
    embed_external_data(model, folder)
    _check_operators(model)
    _check_valid(model, file.name)
    _check_types(model)
    return model


def _only_model(folder: Path) -> Path:
    found = sorted(path for path in folder.rglob("*") if path.suffix == ".onnx")
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise NotAModelError(f"a float model needs exactly one .onnx file among its sources, found {names}")
    size = found[0].stat().st_size
    if size > SIZE_LIMIT:
        raise NotAModelError(
            f"{found[0].name} has {size} bytes, more than the {SIZE_LIMIT} that one ONNX file may have",
            hint="save the model with its weights as external data",
        )
    return found[0]


def _parse(file: Path) -> ModelProto:
    content = file.read_bytes()
    if not content:
        raise NotAModelError(f"{file.name} is empty")
    model = ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise NotAModelError(
            f"{file.name} is not an ONNX model, or it is cut off: its {len(content)} bytes do not parse",
            hint="fetch or export the file again",
        ) from None
    if field := broken_text(model):
        raise NotAModelError(f"{file.name} is damaged: a {field} in it is not text")
    if not model.HasField("graph") or not model.graph.node or not model.opset_import:
        raise NotAModelError(f"{file.name} is not an ONNX model: it holds no graph with nodes and an opset")
    return model


def embed_external_data(model: ModelProto, folder: Path) -> None:
    """Read every tensor stored outside into the model; raises ExternalDataError on whatever leaves `folder`."""
    total = 0
    for tensor in _tensors(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        content = _external_bytes(tensor, folder, SIZE_LIMIT - total)
        total += len(content)
        tensor.raw_data = content
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]


def _external_bytes(tensor: TensorProto, folder: Path, room: int) -> bytes:
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
    if length > room:
        raise ExternalDataError(f"the model and its external data have more than {SIZE_LIMIT} bytes together")
    with file.open("rb") as stream:
        stream.seek(offset)
        return stream.read(length)


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


def _tensors(model: ModelProto) -> list[TensorProto]:
    constants = [
        attribute.t
        for nodes in (model.graph.node, *(function.node for function in model.functions))
        for node in nodes
        for attribute in node.attribute
        if attribute.type == onnx.AttributeProto.TENSOR
    ]
    return [*model.graph.initializer, *constants]


def _check_operators(model: ModelProto) -> None:
    """Every node is an ONNX operator (or a function of the model), and none holds a graph of its own."""
    local = {(function.domain, function.name) for function in model.functions}
    known = {schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    versions = {entry.domain: entry.version for entry in model.opset_import}
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    for index, node in enumerate(nodes):
        name = node.name or f"number {index}"
        if (node.domain, node.op_type) in local:
            continue
        if node.domain not in ("", "ai.onnx") or node.op_type not in known:
            near = difflib.get_close_matches(node.op_type, known, 1) if not node.domain else []
            domain = f" of domain '{node.domain}'" if node.domain else ""
            raise UnsupportedModelError(
                f"node '{name}' has the operator {node.op_type}{domain}, which ONNX does not define",
                hint=f"did you mean {near[0]}?" if near else "export the model with standard ONNX operators only",
            )
        if any(attribute.type in _BRANCHES for attribute in node.attribute):
            raise UnsupportedModelError(
                f"node '{name}' ({node.op_type}) is control flow; a model must be one static graph"
            )
    version = versions.get("", versions.get("ai.onnx", 0))
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST_OPSET <= version <= newest:
        raise UnsupportedModelError(f"the model has opset {version}; opsets {OLDEST_OPSET} to {newest} are supported")


def _check_valid(model: ModelProto, name: str) -> None:
    """ONNX's checker, less its demand that inputs and outputs state a shape: inference knows better."""
    values = (value.type.tensor_type for value in (*model.graph.input, *model.graph.output))
    shapeless = [tensor for tensor in values if not tensor.HasField("shape")]
    for tensor in shapeless:
        tensor.shape.SetInParent()
    counted = Counter(value.name for value in model.graph.output)
    if twice := [name for name, count in counted.items() if count > 1]:
        raise InvalidModelError(f"{name} is not a valid ONNX model: it has two outputs named '{twice[0]}'")
    try:
        onnx.checker.check_model(model)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise InvalidModelError(f"{name} is not a valid ONNX model: {_first_lines(str(error))}") from None
    finally:
        for tensor in shapeless:
            tensor.ClearField("shape")


def _first_lines(text: str) -> str:
    """ONNX's own words without the dump of the node that follows them."""
    return " ".join(line.strip() for line in text.strip().splitlines()[:3] if line.strip())


def _check_types(model: ModelProto) -> None:
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        kind = value.type.tensor_type.elem_type
        if value.name not in weights and kind != TensorProto.FLOAT:
            raise UnsupportedModelError(
                f"input '{value.name}' is {_type_name(kind)}; only float32 models are supported so far"
            )
    for tensor in _tensors(model):
        if tensor.data_type in _FLOATS:
            raise UnsupportedModelError(
                f"tensor '{tensor.name}' is {_type_name(tensor.data_type)}; only float32 models are supported so far",
                hint="export the model in float32",
            )
    quantised = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    if quantised:
        raise UnsupportedModelError(
            f"the model is quantised already (node '{quantised[0].name}'); give the float model"
        )


def _type_name(kind: int) -> str:
    if not kind:
        return "not a tensor"
    names = {number: name.lower() for name, number in TensorProto.DataType.items()}
    return str(names.get(kind, f"of the unknown type {kind}"))
