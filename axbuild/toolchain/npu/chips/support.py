"""What a chip's NPU takes of the float operators, by the limits in the chip's file.

A limit is text, read as

    NAME=V  NAME!=V  NAME in A|B  NAME<=OTHER     of an attribute; of a list: every element
    NAME:absent  NAME:absent-yet                  the attribute is at its default; -yet: for now
    input.X:absent  input.X:absent-yet            the input is not given, or is an empty constant
    input.X:rank=N  input.X:initializer           rank of an input; a constant
    input.X:scalar  input.X:axis=N                a single value; one that differs along axis N of the data alone
    size:small                                    the vendor says so without a figure: told, never checked

with names as in ONNX, and may end in ` if <limit>`: it then counts only for nodes that keep the other one, so that no
attribute is checked that does not matter. NAME may also be `rank` (of the first input), `outputs` (how many are read)
or an element by its suffix: `_h`, `_w` of a list along space, `_bottom`, `_right` of pads. What a node does not write
has the default of ONNX's schema; where that has none, it counts as being what the limit names.

Each limit is one sentence: the row of the support table, and with the value that was found the reason why a node does
not run on the NPU.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import onnx
import onnx_ir as ir

from axbuild.toolchain.graph import spelling_of
from axbuild.toolchain.npu.chips.records import Support

_LIMIT = re.compile(r"(?P<name>[\w.]+)(?P<relation>!=|<=|=| in |:)(?P<value>[^\s=]+)(?:=(?P<number>-?\d+))?")
_ELEMENTS = {"_h": -2, "_w": -1, "_bottom": -2, "_right": -1}
_IN_WORDS = {"rank": "the rank", "outputs": "the number of outputs read", "axis": "axis, counted from the end,"}
_FLOAT_NAMES = {"float": "float32", "double": "float64"}


@dataclass(frozen=True)
class ChipLimit:
    """One limit. states: the rule, `auto_pad must be NOTSET`. holds: the same as a condition, `auto_pad is NOTSET`.

    broken_by: what the node has that the rule forbids, as text; None where it keeps it.
    """

    states: str
    holds: str
    broken_by: Callable[[ir.Node], str | None]

    def refusal(self, node: ir.Node) -> str | None:
        """The sentence for a node that breaks the limit."""
        found = self.broken_by(node)
        return None if found is None else f"{self.states}, got {found}"


def refusals(node: ir.Node, chip: Support) -> list[str]:
    """Why the chip's NPU does not take a float node; empty where it does.

    A function that was spelled out runs where the chip has all the operators of its spelling.
    """
    if node.op_type not in chip.operators:
        if all(op_type in chip.operators for op_type in spelling_of(node)):
            return []
        return [f"the NPU of {chip.name} has no {node.op_type}"]
    limits = [limit_of(text) for text in chip.operators[node.op_type]]
    return [sentence for limit in limits if (sentence := limit.refusal(node)) is not None]


def is_of_onnx(op_type: str) -> bool:
    """Whether ONNX itself defines the operator; the vendor's tables list a few that it does not."""
    return _schema(op_type) is not None


@cache
def limit_of(text: str) -> ChipLimit:
    """The limit that a text of the grammar states; ValueError where it is none."""
    rule, condition, when = text.partition(" if ")
    limit = _simple(rule)
    if not condition:
        return limit
    needed = _simple(when)

    def broken_by(node: ir.Node) -> str | None:
        return limit.broken_by(node) if needed.broken_by(node) is None else None

    return ChipLimit(f"{limit.states} where {needed.holds}", limit.holds, broken_by)


def _simple(text: str) -> ChipLimit:
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no limit of an operator")
    name, relation, value, number = match["name"], match["relation"], match["value"], match["number"]
    if text == "size:small":
        return ChipLimit("small sizes only (the vendor gives no figure)", "the size is small", lambda node: None)
    if relation == ":" and name.startswith("input."):
        return _of_input(name.removeprefix("input."), value, number)
    if relation == ":":
        return _at_default(name, value)
    return _of_attribute(name, relation.strip(), value)


def _of_attribute(name: str, relation: str, value: str) -> ChipLimit:
    words = value.split("|")
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
    called = _IN_WORDS.get(name, name)

    def differs(node: ir.Node) -> str | None:
        return next((found for found in _texts(node, name) if found not in words), None)

    def equals(node: ir.Node) -> str | None:
        found = _texts(node, name)
        return value if all(one == value for one in found) else None

    def exceeds(node: ir.Node) -> str | None:
        pairs = zip(_values(node, name), _values(node, value) or [0], strict=False)
        return next((f"{mine} and {other}" for mine, other in pairs if mine > other), None)

    match relation:
        case "!=":
            return ChipLimit(f"{called} must not be {value}", f"{called} is not {value}", equals)
        case "<=":
            return ChipLimit(f"{called} must be at most {value}", f"{called} is at most {value}", exceeds)
        case _:
            return ChipLimit(f"{called} must be {listed}", f"{called} is {listed}", differs)


def _at_default(name: str, value: str) -> ChipLimit:
    def broken_by(node: ir.Node) -> str | None:
        written = node.attributes.get(name)
        if written is None or _listed(written.value) == _default(node.op_type, name):
            return None
        return ", ".join(_texts(node, name))

    return ChipLimit(f"{name} must be left at its default{_yet(value)}", f"{name} is at its default", broken_by)


def _yet(value: str) -> str:
    if value not in ("absent", "absent-yet"):
        raise ValueError(f"'{value}' is nothing that a limit can ask for")
    return " for now" if value == "absent-yet" else ""


def _of_input(name: str, value: str, number: str | None) -> ChipLimit:
    shown = f"input {name}"

    def rank(found: ir.Value) -> str | None:
        return f"rank {len(found.shape)}" if found.shape is not None and len(found.shape) != int(number or 0) else None

    def constant(found: ir.Value) -> str | None:
        return "one that is computed" if ir.convenience.get_const_tensor(found) is None else None

    def scalar(found: ir.Value) -> str | None:
        return None if found.shape is None or all(size == 1 for size in found.shape) else f"shape {_shape(found)}"

    def given(found: ir.Value) -> str | None:
        empty = found.const_value is not None and found.const_value.size == 0
        return None if empty else "one"

    match value:
        case "rank":
            return _asked(name, f"{shown} must have rank {number}", f"{shown} has rank {number}", rank)
        case "initializer":
            return _asked(name, f"{shown} must be a constant", f"{shown} is a constant", constant)
        case "scalar":
            return _asked(name, f"{shown} must be a single value", f"{shown} is a single value", scalar)
        case "axis":
            return _along(name, int(number or 0))
        case _:
            return _asked(name, f"{shown} must not be given{_yet(value)}", f"{shown} is not given", given)


def _asked(name: str, states: str, holds: str, check: Callable[[ir.Value], str | None]) -> ChipLimit:
    def broken_by(node: ir.Node) -> str | None:
        found = _input(node, name)
        return None if found is None else check(found)

    return ChipLimit(states, holds, broken_by)


def _along(name: str, axis: int) -> ChipLimit:
    def broken_by(node: ir.Node) -> str | None:
        found, data = _input(node, name), node.inputs[0]
        if found is None or found.shape is None or data is None or data.shape is None:
            return None
        # ONNX broadcasts with axes aligned at the right.
        first = len(data.shape) - len(found.shape)
        axes = [first + i for i, size in enumerate(found.shape) if size != 1]
        return None if axes in ([], [axis]) else f"shape {_shape(found)}"

    sentence = f"input {name} {{}} differ along axis {axis} only"
    return ChipLimit(sentence.format("may"), sentence.format("does"), broken_by)


def _shape(value: ir.Value) -> list[Any]:
    assert value.shape is not None
    return [size if isinstance(size, int) else str(size) for size in value.shape]


def _input(node: ir.Node, name: str) -> ir.Value | None:
    """The input of that name in ONNX's schema; None where it is not given."""
    schema = _schema(node.op_type)
    names = [one.name for one in schema.inputs] if schema else []
    position = names.index(name) if name in names else len(node.inputs)
    return node.inputs[position] if position < len(node.inputs) else None


def _texts(node: ir.Node, name: str) -> list[str]:
    return [_text(name, value) for value in _values(node, name)]


def _text(name: str, value: Any) -> str:
    if name == "to":
        word = ir.DataType(value).name.lower()
        return _FLOAT_NAMES.get(word, word)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _values(node: ir.Node, name: str) -> list[Any]:
    """The elements of a name of the grammar; none where nothing says what they are."""
    if name == "rank":
        shape = node.inputs[0].shape if node.inputs and node.inputs[0] is not None else None
        return [] if shape is None else [len(shape)]
    if name == "outputs":
        return [sum(bool(output.uses()) or output.is_graph_output() for output in node.outputs)]
    if name == "axis":
        return [_from_the_end(node, value) for value in _written(node, name)]
    if (suffix := name[name.rfind("_") :]) in _ELEMENTS and name not in node.attributes:
        whole, at = _written(node, name.removesuffix(suffix)), _ELEMENTS[suffix]
        return [whole[at]] if len(whole) >= -at else []
    return _written(node, name)


def _from_the_end(node: ir.Node, axis: int) -> int:
    """Limits count axes from the last, which is -1."""
    shape = node.inputs[0].shape if node.inputs and node.inputs[0] is not None else None
    return axis if axis < 0 or shape is None else axis - len(shape)


def _written(node: ir.Node, name: str) -> list[Any]:
    attribute = node.attributes.get(name)
    return _default(node.op_type, name) if attribute is None else _listed(attribute.value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


@cache
def _schema(op_type: str) -> onnx.defs.OpSchema | None:
    return onnx.defs.get_schema(op_type) if onnx.defs.has(op_type) else None


@cache
def _default(op_type: str, name: str) -> list[Any]:
    """ONNX's default of an attribute; empty where it has none."""
    schema = _schema(op_type)
    attribute = schema.attributes.get(name) if schema else None
    if attribute is None or not attribute.default_value.name:
        return []
    value = onnx.helper.get_attribute_value(attribute.default_value)
    return [item.decode() if isinstance(item, bytes) else item for item in _listed(value)]
