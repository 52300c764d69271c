"""Stage: a quantised model from a file of somebody's -> the same, looked over, and what its compilation asks for.

It must be what `quantize` writes, to the last body and grid: whatever is not is refused here, so that nothing behind
this stage meets a graph that is not sound.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto

from axbuild.errors import LONGEST_MAGIC, AxError, other_file
from axbuild.toolchain.door import door
from axbuild.toolchain.frontend.attributes import OpPatch
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.load import SIZE_LIMIT, external_place
from axbuild.toolchain.frontend.nested import all_constants
from axbuild.toolchain.frontend.shapes import interface
from axbuild.toolchain.frontend.text import broken_text
from axbuild.toolchain.kinds.base import DOMAIN
from axbuild.toolchain.quant.outline import write_outline
from axbuild.toolchain.quant.patch import patch
from axbuild.toolchain.quant.record_file import read_records
from axbuild.toolchain.quant.sound import require_bodies, require_records, sound_outline
from axbuild.toolchain.quant.verify import GraphFault, verify

RECORDS = "quant_axmodel.json"
_EXPECTED = (
    "a QuantAxModel is quant/quant_axmodel.onnx of a build by axbuild, with quant_axmodel.json beside it; a float "
    "model is model_type ONNX, one with QuantizeLinear nodes QuantONNX"
)
_VENDORS = "one that a real Pulsar2 made is compiled by that, as `toolchain` on a quant_model and its axmodel says"


class NotQuantisedError(AxError):
    """A file that is no quantised model of ours, or none any more."""

    code = "AX590"

    def __init__(self, file: str, reason: str, hint: str = _EXPECTED) -> None:
        super().__init__(f"{file} is no quantised model of axbuild: {reason}", hint=hint)


class OtherShapeError(AxError):
    """A quantised model is asked for at a shape that it does not have."""

    code = "AX591"


@dataclass(frozen=True)
class ReadQuantisedParams:
    """input_shapes: what the inputs must be; quant_op_processors: attributes to overwrite, as in `QuantizeParams`."""

    input_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    quant_op_processors: tuple[OpPatch, ...] = ()


def read_quantised(model: Path, out: Path, *, params: ReadQuantisedParams) -> None:
    """model: a folder with one .onnx, its external data, and its records in a .json of the same name.

    Writes quant_axmodel.onnx and quant_axmodel.json; outline/, a float model's folder without the weights that only a
    float model has; interface.json. Raises NotQuantisedError; OtherShapeError where input_shapes says another shape.
    """
    file = _only(model)
    quantised = _parsed(file)
    records = file.with_suffix(".json")
    outline = _looked_over(quantised, file.name, records)
    found = interface(LightModel(quantised))
    _require_shapes({item["name"]: tuple(item["shape"]) for item in found["inputs"]}, params.input_shapes)
    if params.quant_op_processors:
        patch(quantised, params.quant_op_processors)
        verify(quantised)
    (out / "quant_axmodel.onnx").write_bytes(quantised.SerializeToString(deterministic=True))
    shutil.copyfile(records, out / RECORDS)
    write_outline(outline, out / "outline")
    (out / "interface.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _only(folder: Path) -> Path:
    found = sorted(path for path in folder.rglob("*") if path.suffix == ".onnx")
    if len(found) != 1:
        names = ", ".join(path.name for path in found or sorted(folder.rglob("*")))
        why = "takes one .onnx file" if found else "does not end in .onnx"
        raise NotQuantisedError(names, f"it {why}")
    if not 0 < found[0].stat().st_size <= SIZE_LIMIT:
        raise NotQuantisedError(found[0].name, f"it has {found[0].stat().st_size} bytes")
    return found[0]


def _parsed(file: Path) -> onnx.ModelProto:
    """The model with its weights in it, wherever they were."""
    content = file.read_bytes()
    if other := other_file(content[:LONGEST_MAGIC]):
        raise NotQuantisedError(file.name, f"it {other[0]}", other[1])
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(content)
    except DecodeError:
        raise NotQuantisedError(file.name, f"its {len(content)} bytes do not parse as ONNX, or are cut off") from None
    if field_ := broken_text(model):
        raise NotQuantisedError(file.name, f"a {field_} in it is not text")
    for tensor in (*model.graph.initializer, *(tensor for _, tensor in all_constants(model))):
        if tensor.data_location == TensorProto.EXTERNAL:
            _take_in(tensor, file.parent)
    return model


def _take_in(tensor: TensorProto, folder: Path) -> None:
    place, start, length = external_place(tensor, folder)
    with place.open("rb") as stream:
        stream.seek(start)
        tensor.raw_data = stream.read(length)
    tensor.ClearField("data_location")
    tensor.ClearField("external_data")


def _looked_over(model: onnx.ModelProto, name: str, records: Path) -> onnx.ModelProto:
    """The outline, completed with the constants of float operators; raises NotQuantisedError at the first thing that
    is not as `quantize` writes it."""
    if not any(node.domain == DOMAIN for node in model.graph.node):
        raise NotQuantisedError(name, _what_it_is(model))
    if not records.is_file():
        hint = f"copy it from where {name} was written: both lie in quant/ of that build"
        raise NotQuantisedError(
            name, f"there is no {records.name} beside it, which says how each tensor was made", hint
        )
    try:
        with door(lambda said: NotQuantisedError(name, said)):
            verified = verify(model)
            require_bodies(model, verified)
            outline = sound_outline(model)
            require_records(read_records(records), model, verified, outline)
            return outline
    except NotQuantisedError:
        raise
    except GraphFault as error:
        raise NotQuantisedError(name, error.found) from error
    except AxError as error:
        raise NotQuantisedError(name, error.sentence.rstrip("."), error.hint or _EXPECTED) from error


def _what_it_is(model: onnx.ModelProto) -> str:
    """Why a model without an operator of ours is another one."""
    types = {node.op_type for node in model.graph.node}
    if vendors := sorted(op_type for op_type in types if op_type.startswith("Ax")):
        return (
            f"'{vendors[0]}' is an operator of the vendor's own toolchain, whose definition is not public; {_VENDORS}"
        )
    if {"QuantizeLinear", "DequantizeLinear"} & types:
        return "it has QuantizeLinear and DequantizeLinear nodes, as a QuantONNX model has"
    return "none of its operators is quantised, as in a float model" if types else "it has no operators"


def _require_shapes(own: Mapping[str, tuple[int, ...]], asked: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in asked.items():
        if name not in own:
            raise OtherShapeError(f"input_shapes names '{name}', and the quantised model's inputs are {', '.join(own)}")
        if own[name] != shape:
            raise OtherShapeError(
                f"input_shapes says {list(shape)} for '{name}', and the model was quantised at {list(own[name])}",
                hint="quantise the float model at that shape",
            )
