"""Attributes of a float model's operators, set to what a BUILD file says: types as ONNX declares them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto
from onnx.defs import OpSchema

from axbuild.errors import AxError
from axbuild.toolchain.near import did_you_mean

WHOLE = range(-(2**63), 2**63)


class PatchError(AxError):
    """An entry of op_processors or const_processors that does not fit the float model."""

    code = "AX315"


@dataclass(frozen=True)
class OpPatch:
    """The vendor's OpProcessor. op_name: of a node of the model; attrs: attribute -> its new value."""

    op_name: str
    attrs: dict[str, Any] = field(default_factory=dict)


def _is_whole(value: Any) -> bool:
    return type(value) is int and value in WHOLE


def _is_real(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= float(np.finfo(np.float32).max)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


Check = Callable[[Any], bool]

TAKEN: dict[int, tuple[str, Check, bool]] = {
    AttributeProto.INT: ("a whole number", _is_whole, False),
    AttributeProto.FLOAT: ("a number that float32 holds", _is_real, False),
    AttributeProto.STRING: ("a text", _is_text, False),
    AttributeProto.INTS: ("a list of whole numbers", _is_whole, True),
    AttributeProto.FLOATS: ("a list of numbers that float32 holds", _is_real, True),
    AttributeProto.STRINGS: ("a list of texts", _is_text, True),
}
"""type of an attribute -> what is taken for it, how an item is checked, whether it is a list of such items"""


def set_attribute(node: NodeProto, name: str, value: Any, opset: int) -> str:
    """Set it in place; what was done, in words. Raises PatchError.

    opset: of the node's domain. What ONNX does not define may only have attributes changed that it has.
    """
    known = _declared(node, opset)
    own = {attribute.name: attribute for attribute in node.attribute}
    known |= {key: (attribute.type, attribute) for key, attribute in own.items()}
    if name not in known:
        raise PatchError(
            f"op_processors sets '{name}' of '{node.name}', and {node.op_type} of opset {opset} has no such attribute",
            hint=did_you_mean(name, known) or f"it has {', '.join(sorted(known)) or 'none'}",
        )
    kind, before = known[name]
    _require(node, name, value, kind)
    made = onnx.helper.make_attribute(name, value, attr_type=kind)
    if name in own:
        own[name].CopyFrom(made)
    else:
        node.attribute.append(made)
    return f"set op '{node.name}' ({node.op_type}) attr '{name}' to {_shown(value)}, {_before(before)}"


def _declared(node: NodeProto, opset: int) -> dict[str, tuple[int, AttributeProto]]:
    """Attribute -> (its type, its default, which has no type where there is none), as ONNX defines the operator."""
    try:
        schema: OpSchema = onnx.defs.get_schema(node.op_type, opset, node.domain)
    except onnx.defs.SchemaError:
        return {}
    return {name: (_number(one.type), one.default_value) for name, one in schema.attributes.items()}


def _number(kind: OpSchema.AttrType) -> int:
    """Of AttributeProto.AttributeType, which has the same names ("AttrType.INTS")."""
    number: int = AttributeProto.AttributeType.Value(str(kind).rpartition(".")[2])
    return number


def _require(node: NodeProto, name: str, value: Any, kind: int) -> None:
    if kind not in TAKEN:
        what = AttributeProto.AttributeType.Name(kind).lower()
        raise PatchError(f"op_processors sets '{name}' of '{node.name}' ({node.op_type}), which is a {what}")
    expected, fits, several = TAKEN[kind]
    items = value if isinstance(value, list) else [value]
    if isinstance(value, list) != several or not all(fits(item) for item in items):
        raise PatchError(
            f"op_processors sets '{name}' of '{node.name}' ({node.op_type}) to {_shown(value)}, and it takes {expected}"
        )


def _before(attribute: AttributeProto) -> str:
    if not attribute.type:
        return "which it had none of"
    value = onnx.helper.get_attribute_value(attribute)
    items = [item.decode(errors="replace") if isinstance(item, bytes) else item for item in _list(value)]
    return f"which was {_shown(items if isinstance(value, list) else items[0])}"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
