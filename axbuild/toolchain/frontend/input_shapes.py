"""The shapes of a model's inputs: what the user says, what follows from it, and a batch of 1."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping

import onnx
from onnx import ValueInfoProto

from axbuild.errors import AxError, AxWarning, counted
from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.shapes import MAX_ELEMENTS, Stated, forget_shapes, shown_shape, stated_shape
from axbuild.toolchain.graph import Shape
from axbuild.toolchain.near import nearest


class InputShapeError(AxError):
    """`input_shapes` does not fit the model's inputs, or leaves one with unknown dimensions."""

    code = "AX304"


def settle_input_shapes(model: LightModel, wanted: Mapping[str, Shape]) -> None:
    """Set the inputs' shapes in place.

    A dimension that has a name has one size in all inputs, so that a shape given for one settles it in others. An
    unknown batch (dimension 0 of several, and whatever is called so) that nobody sets is 1; a scalar becomes [1].
    Every shape the file states beyond the inputs is dropped, since it may speak of the old ones. Raises InputShapeError
    naming the inputs, and the line to write where dimensions are left unknown.
    """
    inputs = {value.name: value for value in model.inputs}
    stated = {name: stated_shape(value) for name, value in inputs.items()}
    for name, shape in wanted.items():
        if name not in inputs:
            raise InputShapeError(
                f"input_shapes names '{name}', and the model's inputs are {', '.join(inputs)}",
                hint=nearest(name, inputs),
            )
        _check(name, stated[name], shape)
    sizes = _named_sizes(stated, wanted)
    found: dict[str, Stated] = {name: wanted.get(name) or _sized(shape, sizes) for name, shape in stated.items()}
    if open_ := [name for name, shape in found.items() if any(isinstance(item, str) for item in shape)]:
        raise _left_open({name: stated[name] or ("?",) for name in open_}, found, wanted)
    for name, settled in found.items():
        _set_shape(inputs[name], settled)
    forget_shapes(model.proto)


def tell_other_shapes(model: LightModel, wanted: Mapping[str, Shape]) -> None:
    """Warn where `input_shapes` gives another size than the model states; to fill in one that it leaves open is none.

    Settled once more in other stages, shapes are told of in one.
    """
    stated = {value.name: stated_shape(value) for value in model.inputs}
    for name, shape in wanted.items():
        own = stated.get(name) or ()
        if any(isinstance(size, int) and size != other for size, other in zip(own, shape, strict=False)):
            sentence = f"input '{name}' is {list(shape)} by input_shapes, and {shown_shape(own)} in the model"
            warnings.warn(AxWarning("AX316", sentence), stacklevel=2)


def _check(name: str, stated: Stated | None, wanted: Shape) -> None:
    if stated is not None and len(stated or (1,)) != len(wanted):
        raise InputShapeError(
            f"input_shapes gives '{name}' {counted(len(wanted), 'dimension')} {list(wanted)}, and the model has "
            f"{len(stated)}: {shown_shape(stated)}"
        )
    if any(dimension < 1 for dimension in wanted):
        raise InputShapeError(f"input_shapes gives '{name}' {list(wanted)}; every dimension must be 1 or more")
    if math.prod(wanted) > MAX_ELEMENTS:
        raise InputShapeError(f"input_shapes gives '{name}' {list(wanted)}, more than {MAX_ELEMENTS} elements")


def _named_sizes(stated: Mapping[str, Stated | None], wanted: Mapping[str, Shape]) -> dict[str, int]:
    """Name of a dimension -> its size: the only one that the user gives it, or 1 for a batch."""
    given: dict[str, set[int]] = {}
    for name, shape in wanted.items():
        for item, size in zip(stated[name] or (), shape, strict=False):
            given.setdefault(str(item), set()).add(size)
    sizes = {item: 1 for shape in stated.values() for item in _batches(shape or ())}
    return sizes | {item: min(found) for item, found in given.items() if len(found) == 1 and item != "?"}


def _batches(shape: Stated) -> Iterator[str]:
    # The only dimension of a signal or of indices is its length, and no batch.
    for index, item in enumerate(shape):
        is_first = index == 0 and len(shape) > 1
        if isinstance(item, str) and item != "?" and (is_first or item.lower().startswith("batch")):
            yield item


def _sized(shape: Stated | None, sizes: Mapping[str, int]) -> Stated:
    if shape is None:
        return ("?",)
    found = [sizes.get(item, item) if isinstance(item, str) else item for item in shape]
    if len(found) > 1 and found[0] == "?":
        found[0] = 1
    return tuple(found) or (1,)


def _left_open(
    open_: Mapping[str, Stated], found: Mapping[str, Stated], wanted: Mapping[str, Shape]
) -> InputShapeError:
    shown = ", ".join(f"'{name}' has unknown dimensions: {shown_shape(shape)}" for name, shape in open_.items())
    lines = {name: found[name] for name in (*wanted, *open_)}
    entries = ", ".join(
        f'"{name}" = [{", ".join(str(item) if isinstance(item, int) else "..." for item in shape)}]'
        for name, shape in lines.items()
    )
    return InputShapeError(f"input {shown}", hint=f"set input_shapes = {{ {entries} }} on the float_model")


def _set_shape(value: ValueInfoProto, shape: Stated) -> None:
    value.type.tensor_type.shape.CopyFrom(onnx.helper.make_tensor_type_proto(1, shape).tensor_type.shape)
