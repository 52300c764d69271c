"""An additive mask in front of a Softmax is a condition, however it is spelled: its values never meet a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_of, has_one_reader, integer, is_activation, needed_input, shape_of
from axbuild.toolchain.masks import hiding_side, shown_side
from axbuild.toolchain.rewrites.mask_flags import Flags, flags_of
from axbuild.toolchain.rewrites.rewrite import NoMatch, Rewrite, Rounding, Steps, attributes

NEVER = -100.0
"""a constant that is added to scores and this low leaves less than 2^-144 of them, beside one of them that it spares"""
LOWEST = float(np.finfo(np.float32).min)
TERMS = 4
"""of a softmax whose hidden powers are left out: they were 0 in float32"""
Hidden = Array | Flags
"""of one additive mask: a constant, true where it hides, or what it is computed from"""


Parts = list[tuple[ir.Value, Hidden]]
"""the masks whose sum a mask is, or it alone"""


@dataclass(frozen=True)
class AdditiveMask:
    """scores: without the masks; masks: what is added, and what each hides; where: a Where between, which hides too;
    reshape: a Reshape in front of the Softmax that keeps its lines, which can as well stand behind it."""

    scores: ir.Value
    masks: tuple[tuple[ir.Value, Parts], ...]
    where: ir.Node | None
    reshape: ir.Node | None


class MaskToWhere(Rewrite[AdditiveMask]):
    """Softmax(x + m) -> Softmax(Where(hidden, lowest, x)), where m is 0 and where hidden so low that exp(m) is 0

    m is a constant, or computed from truth values, or from whole numbers that are then taken as 0 and 1, or the sum of
    such masks. Lines that are hidden whole come out otherwise than in the float model.
    """

    op = ("Softmax",)

    def match(self, node: ir.Node) -> AdditiveMask | NoMatch:
        value, reshape = needed_input(node, 0), _reshape_before(node)
        if reshape is not None:
            value = needed_input(reshape, 0)
        where = value.producer()
        if where is None or not has_one_reader(value):
            return NoMatch("nothing is added right before Softmax")
        if where.op_type != "Where":
            return _added(value, None, reshape)
        shown = shown_side(where)
        return _added(shown, where, reshape) if shown is not None else NoMatch("the Where before Softmax hides nothing")

    def replace(self, node: ir.Node, found: AdditiveMask, steps: Steps) -> ir.Value:
        hidden = [_of_sum(steps, mask, parts) for mask, parts in found.masks]
        if found.where is not None:
            hidden.append(_of_where(steps, found.where))
        whole = _any(steps, hidden)
        lowest = steps.constant(np.array(LOWEST, np.float32), "hidden")
        shape = shape_of(found.scores)
        scores = steps.insert("Where", [whole, lowest, found.scores], name="mask", shape=shape)
        if found.reshape is None:
            return steps.insert("Softmax", [scores], attributes(node))
        shares = steps.insert("Softmax", [scores], {"axis": -1}, shape=shape)
        inputs = [shares, *found.reshape.inputs[1:]]
        return steps.insert("Reshape", inputs, attributes(found.reshape), origins=(found.reshape,))

    def rounding(self, node: ir.Node, found: AdditiveMask) -> Rounding:
        return Rounding(TERMS, (), 1.0)


def _reshape_before(node: ir.Node) -> ir.Node | None:
    value = needed_input(node, 0)
    reshape, shape = value.producer(), shape_of(value)
    if reshape is None or reshape.op_type != "Reshape" or not has_one_reader(value):
        return None
    is_last = integer(node, "axis", -1) in (-1, len(shape) - 1)
    return reshape if is_last and shape_of(needed_input(reshape, 0))[-1:] == shape[-1:] else None


def _added(value: ir.Value, where: ir.Node | None, reshape: ir.Node | None) -> AdditiveMask | NoMatch:
    """Scores and the masks that are added to them one after the other."""
    masks: list[tuple[ir.Value, Parts]] = []
    while (split := _split(value)) is not None:
        value, mask, parts = split
        masks.append((mask, parts))
    return (
        AdditiveMask(value, tuple(masks), where, reshape)
        if masks
        else NoMatch("what is added before Softmax is no mask")
    )


def _split(value: ir.Value) -> tuple[ir.Value, ir.Value, Parts] | None:
    """(scores, mask, its parts) of an Add that nobody else reads."""
    add = value.producer()
    if add is None or add.op_type != "Add" or not has_one_reader(value):
        return None
    for mask, scores in (add.inputs, add.inputs[::-1]):
        if mask is None or scores is None or not is_activation(scores) or shape_of(scores) != shape_of(value):
            continue
        if parts := _parts(mask):
            return scores, mask, parts
    return None


def _parts(value: ir.Value) -> Parts:
    """The masks whose sum a tensor is; none where it is no such sum."""
    hidden = _hidden(value)
    if hidden is not None:
        return [(value, hidden)]
    add = value.producer()
    if add is None or add.op_type != "Add":
        return []
    parts = [_parts(item) for item in add.inputs if item is not None]
    return [mask for part in parts for mask in part] if all(parts) else []


def _hidden(value: ir.Value) -> Hidden | None:
    array = constant_of(value)
    if array is None:
        return flags_of(value)
    hidden: Array = array <= NEVER
    return hidden if np.all(hidden | (array == 0.0)) and hidden.any() else None


_MADE = "axbuild.hidden"
"""in a mask's passing notes: its condition, which all layers that add the mask share"""


def _of_sum(steps: Steps, mask: ir.Value, parts: Parts) -> ir.Value:
    """The condition of all parts of what is added."""
    if _MADE not in mask.meta:
        mask.meta[_MADE] = _any(steps, [_condition(steps, *part) for part in parts])
    condition: ir.Value = mask.meta[_MADE]
    return condition


def _any(steps: Steps, conditions: list[ir.Value]) -> ir.Value:
    """Where one of them is true."""
    whole = conditions[0]
    for other in conditions[1:]:
        shape = np.broadcast_shapes(shape_of(whole), shape_of(other))
        whole = _truth(steps, "Or", [whole, other], shape)
    return whole


def _condition(steps: Steps, mask: ir.Value, hidden: Hidden) -> ir.Value:
    """A BOOL tensor, true where the mask hides."""
    if _MADE not in mask.meta:
        made = _laid_out(steps, hidden) if isinstance(hidden, Flags) else steps.constant(hidden, "hidden", of=mask)
        mask.meta[_MADE] = made
    condition: ir.Value = mask.meta[_MADE]
    return condition


def _laid_out(steps: Steps, flags: Flags) -> ir.Value:
    condition, shape = flags.source, shape_of(flags.source)
    if condition.dtype != ir.DataType.BOOL:
        zero = steps.constant(np.zeros(1, (condition.dtype or ir.DataType.INT32).numpy()), "zero")
        condition = _truth(steps, "Equal", [condition, zero], shape)
        is_hidden = flags.at_zero
    else:
        is_hidden = not flags.at_zero
    if not is_hidden:
        condition = _truth(steps, "Not", [condition], shape)
    for mover in reversed(flags.movers):
        inputs = [condition, *mover.inputs[1:]]
        condition = _truth(steps, mover.op_type, inputs, shape_of(mover.outputs[0]), mover)
    return condition


def _of_where(steps: Steps, where: ir.Node) -> ir.Value:
    condition = where.inputs[0]
    if condition is None:
        raise ValueError(f"'{where.name}' has no condition")
    return condition if hiding_side(where) == 1 else _truth(steps, "Not", [condition], shape_of(condition))


def _truth(
    steps: Steps,
    op_type: str,
    inputs: list[ir.Value | None],
    shape: tuple[int, ...],
    like: ir.Node | None = None,
) -> ir.Value:
    """A new node of truth values; like: one that has its attributes."""
    given = attributes(like) if like is not None else {}
    return steps.insert(op_type, inputs, given, name=op_type.lower(), shape=shape, dtype=ir.DataType.BOOL)
