"""Constants of a float model, replaced by values of a BUILD file or of a file beside it; their type and shape stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, NodeProto, TensorProto

from axbuild.errors import counted
from axbuild.toolchain.data import arrays
from axbuild.toolchain.frontend.attributes import PatchError
from axbuild.toolchain.frontend.light import LightModel, array_of
from axbuild.toolchain.frontend.nested import all_graphs, all_nodes
from axbuild.toolchain.frontend.support import TENSOR_TYPES
from axbuild.toolchain.graph import Array
from axbuild.toolchain.near import did_you_mean

SHOWN = 8
"""values of a constant that a note lists"""


@dataclass(frozen=True)
class GivenValues:
    """Values as somebody wrote them. shape: where the file states one; raw: bytes of the constant's own type."""

    source: str
    array: Array | None = None
    shape: tuple[int, ...] | None = None
    raw: bytes = b""


def values_of(name: str, data: Any, form: str, content: bytes) -> GivenValues:
    """The values for the constant `name`; form, content: of their file, "" where `data` has them."""
    if form == "bin":
        return GivenValues("its .bin file", raw=content)
    if form == "npy":
        shape, fortran, dtype, rest = arrays.header(content, f"data_path of {name}")
        if len(rest) != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
            raise PatchError(f"the .npy file for the constant '{name}' is cut off, or goes on behind its array")
        array = np.frombuffer(rest, dtype).reshape(shape, order="F" if fortran else "C")
        return GivenValues("its .npy file", array, shape)
    if form == "txt":
        return GivenValues("its .txt file", np.array(_numbers(name, content)))
    try:
        return GivenValues("data", np.array(data))
    except ValueError:
        raise PatchError(f"data for the constant '{name}' has lists of different lengths") from None


def _numbers(name: str, content: bytes) -> list[int | float]:
    """Numbers between blanks, commas or ends of lines; whole ones stay whole."""
    found: list[int | float] = []
    for word in content.decode(errors="replace").replace(",", " ").split():
        try:
            found.append(int(word) if word.lstrip("+-").isdecimal() else float(word))
        except ValueError:
            raise PatchError(f"the .txt file for the constant '{name}' has '{word[:20]}', which is no number") from None
    return found


@dataclass(frozen=True)
class _Place:
    """Where a constant stands: its type, its value, and how another one is put there."""

    kind: int
    value: Callable[[], Array]
    put: Callable[[Array], None]


class NamedConstants:
    """The constants of a model by the names of their tensors."""

    def __init__(self, model: LightModel) -> None:
        self._model = model
        self._places: dict[str, list[_Place]] = {}
        for name, place in self._found():
            self._places.setdefault(name, []).append(place)

    def replace(self, name: str, given: GivenValues) -> str:
        """Give a constant other values; what was done, in words. Raises PatchError."""
        places = self._places.get(name, [])
        if not places:
            raise self._unknown(name)
        if len(places) > 1:
            raise PatchError(f"const_processors names '{name}', and {len(places)} constants are called so")
        (place,) = places
        if place.kind not in TENSOR_TYPES:
            kind = TensorProto.DataType.Name(place.kind).lower()
            raise PatchError(f"const_processors names '{name}', whose type {kind} it cannot give values of")
        before = place.value()
        after = _fitted(name, given, before)
        place.put(after)
        return f"update data of const tensor '{name}' to {_listed(after)}, {_type_name(after.dtype)}"

    def _unknown(self, name: str) -> PatchError:
        graph = self._model.proto.graph
        maker = next((node.name for node in graph.node if name in node.output), "")
        if maker or name in {value.name for value in self._model.inputs}:
            what = f"which '{maker}' computes" if maker else "which is an input"
            return PatchError(f"const_processors names '{name}', {what}: it is no constant")
        sentence = f"const_processors names '{name}', and the model has no constant of that name"
        return PatchError(sentence, hint=did_you_mean(name, self._places))

    def _found(self) -> Iterator[tuple[str, _Place]]:
        kinds = {value.name: value.type.tensor_type.elem_type for value in self._model.proto.graph.input}
        for name in self._model.weights:
            yield name, self._weight(name, kinds[name])
        for graph in all_graphs(self._model.proto):
            for tensor in graph.initializer:
                yield tensor.name, _tensor(tensor)
        for node in all_nodes(self._model.proto):
            place = _constant(node) if node.op_type == "Constant" and len(node.attribute) == 1 else None
            if place is not None:
                yield node.output[0], place

    def _weight(self, name: str, kind: int) -> _Place:
        weights = self._model.weights
        return _Place(kind, lambda: weights[name], lambda array: weights.update({name: array}))


def _tensor(tensor: TensorProto) -> _Place:
    def put(array: Array) -> None:
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))

    return _Place(tensor.data_type, lambda: array_of(tensor), put)


_LISTS = {
    AttributeProto.INT: TensorProto.INT64,
    AttributeProto.INTS: TensorProto.INT64,
    AttributeProto.FLOAT: TensorProto.FLOAT,
    AttributeProto.FLOATS: TensorProto.FLOAT,
}
"""of a Constant: type of the attribute that holds its value -> that of its tensor"""


def _constant(node: NodeProto) -> _Place | None:
    """None for text and sparse tensors."""
    (attribute,) = node.attribute
    if attribute.type == AttributeProto.TENSOR:
        return _tensor(attribute.t)
    if attribute.type not in _LISTS:
        return None
    kind = _LISTS[attribute.type]
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)

    def put(array: Array) -> None:
        made = onnx.helper.make_attribute(attribute.name, array.tolist(), attr_type=attribute.type)
        attribute.CopyFrom(made)

    return _Place(kind, lambda: np.array(onnx.helper.get_attribute_value(attribute), dtype), put)


def _fitted(name: str, given: GivenValues, before: Array) -> Array:
    """The values in the type and shape of the constant; raises PatchError where they are not of it."""
    what = f"the constant '{name}' is {before.dtype} {list(before.shape)}"
    if given.array is None:
        if len(given.raw) != before.nbytes:
            have = counted(len(given.raw), "byte")
            raise PatchError(f"{what}, {counted(before.nbytes, 'byte')}, and {given.source} has {have}")
        return np.frombuffer(given.raw, before.dtype).reshape(before.shape).copy()
    if given.array.size != before.size or given.shape not in (None, before.shape):
        have = str(list(given.shape)) if given.shape is not None else counted(given.array.size, "value")
        raise PatchError(f"{what}, {counted(before.size, 'value')}, and {given.source} has {have}")
    odd = given.array[~_holds(given.array, before.dtype)]
    if odd.size:
        raise PatchError(f"{what}, and {given.source} has {odd.flat[0]}, which that type does not hold")
    return given.array.astype(before.dtype).reshape(before.shape)


def _holds(array: Array, dtype: np.dtype[Any]) -> Array:
    """Which of the numbers the type has; reals may round, true and false are of bool alone."""
    none = np.zeros(array.shape, bool)
    if array.dtype.kind not in "iufb" or (array.dtype == np.bool_) != (dtype == np.bool_):
        return none | np.isin(array, (0, 1)) if dtype == np.bool_ and array.dtype.kind in "iuf" else none
    if dtype == np.bool_:
        return ~none
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        # A float64 just beyond int64 compares equal to its bound.
        above = array <= bounds.max if array.dtype.kind in "iu" else array < float(bounds.max) + 1
        held: Array = (array == np.floor(array)) & (array >= bounds.min) & above
        return held
    with np.errstate(over="ignore"):
        finite: Array = np.isfinite(array.astype(dtype)) | ~np.isfinite(array)
    return finite


def _type_name(dtype: np.dtype[Any]) -> str:
    """As the vendor calls it: S64, FP32."""
    letters = {"i": "S", "u": "U", "f": "FP"}
    return f"{letters[dtype.kind]}{dtype.itemsize * 8}" if dtype.kind in letters else dtype.name.upper()


def _listed(array: Array) -> str:
    shown = ", ".join(str(value) for value in array.reshape(-1)[:SHOWN].tolist())
    return f"[{shown}]" if array.size <= SHOWN else f"[{shown}, ...] ({array.size:,} values)"
