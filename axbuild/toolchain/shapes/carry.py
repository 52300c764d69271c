"""What quantisation made of a model, carried over to the same model at other input shapes."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import Array, constant_of
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.shapes.alike import APART, values_of
from axbuild.toolchain.shapes.place import ExtraShapeError


def require_same_weights(model: ir.Graph, calibrated: ir.Graph, reshaped: ir.Graph, scheme: Scheme) -> None:
    """Raise ExtraShapeError where the shapes change a constant that quantisation fixed: one of an operator with a
    weight, or one that it scaled. calibrated: `model` as it was quantised; `reshaped` is alike."""
    there, kept = ({node.name: node for node in graph} for graph in (reshaped, calibrated))
    weighted = {name for site in scheme.sites if site.weight is not None for name in site.nodes}
    for node in model:
        other, scaled = _constants(there[node.name]), _constants(kept[node.name])
        for place, array in _constants(node).items():
            fixed = node.name in weighted or not _same(array, scaled[place])
            if fixed and not _same(array, other[place]):
                raise ExtraShapeError(
                    f"constant {place} of '{node.name}' ({node.op_type}) is another one there, and quantisation fixed "
                    "it at the model's own",
                    hint=APART,
                )


def reshape(calibrated: ir.Graph, model: ir.Graph, reshaped: ir.Graph) -> None:
    """Make `calibrated`, the model as it was quantised, the one at the shapes of `reshaped`, in place; tensors that
    quantisation added have no shape then."""
    own, other = ({node.name: node for node in graph} for graph in (model, reshaped))
    for node in calibrated:
        if node.name in own:
            _reshape(node, own[node.name], other[node.name])
    shapes = {value.name: value.shape for value in values_of(reshaped)}
    for value in values_of(calibrated):
        value.shape = shapes.get(value.name)


def _constants(node: ir.Node) -> dict[int, Array]:
    found = {place: constant_of(value) for place, value in enumerate(node.inputs) if value is not None}
    return {place: array for place, array in found.items() if array is not None}


def _same(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def _reshape(node: ir.Node, own: ir.Node, other: ir.Node) -> None:
    """The attributes and constants that it has at the other shapes, but those that quantisation scaled."""
    node.attributes.clear()
    node.attributes.update(other.attributes)
    before, there = _constants(own), _constants(other)
    for place, array in _constants(node).items():
        value = node.inputs[place]
        if value is not None and place in before and _same(array, before[place]):
            value.const_value = ir.tensor(there[place], name=value.name)
            value.shape = ir.Shape(there[place].shape)
