"""`.npy` files of plain numbers and `.bin` files of bare bytes -> arrays."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.door import door
from axbuild.toolchain.graph import Array

SUFFIXES = (".npy",)
BINARY_SUFFIXES = (".bin",)
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class BadArrayError(AxError):
    """An .npy or .bin file that is damaged, holds objects, or does not fit the model's input."""

    code = "AX334"


def decode_array(content: bytes, name: str, shape: tuple[int, ...], dtype: str, tensor: str) -> Array:
    """The array of one .npy file of the model input's shape, batch dimension included, as the input's dtype.

    It may hold a narrower type of the same kind, whose numbers are all in the input's: float16 for float32, as a model
    takes in that is float16 itself, or int32 for int64.
    """
    found_shape, fortran, found_dtype, data = header(content, name)
    if found_shape == () and shape == (1,):  # as the front end makes of a scalar input
        found_shape = shape
    refuse_misfit(name, found_shape, found_dtype, shape, dtype, tensor)
    if len(data) != (size := math.prod(shape) * found_dtype.itemsize):
        what = "is cut off" if len(data) < size else "goes on behind its array"
        raise BadArrayError(f"'{name}' {what}: its header states {list(shape)} and {len(data)} bytes follow")
    array = np.frombuffer(data, dtype=found_dtype).reshape(shape, order="F" if fortran else "C")
    return finite(array, name, dtype)


def decode_binary(content: bytes, name: str, shape: tuple[int, ...], dtype: str, tensor: str) -> Array:
    """The array whose bytes one .bin file is: of the input's dtype, in C order, little-endian."""
    form = np.dtype(dtype).newbyteorder("<")
    if len(content) != (size := math.prod(shape) * form.itemsize):
        raise BadArrayError(
            f"'{name}' has {len(content)} bytes, and model input '{tensor}' is {dtype} {list(shape)}, {size} bytes",
            hint="Binary samples are the bytes of what the model takes in, batch dimension included, without a header",
        )
    return finite(np.frombuffer(content, form).reshape(shape), name, dtype)


def refuse_misfit(
    name: str, found: tuple[int, ...], found_dtype: np.dtype[Any], shape: tuple[int, ...], dtype: str, tensor: str
) -> None:
    """Raise BadArrayError where an array is not of the input's shape, or not of a type that the input's holds."""
    if found != shape or not _holds(np.dtype(dtype), found_dtype):
        raise BadArrayError(
            f"'{name}' is {found_dtype} {list(found)}, and model input '{tensor}' is {dtype} {list(shape)}",
            hint="Numpy samples are what the model takes in, batch dimension included; arrays of float16 may stand for "
            "float32, and of int32 for int64",
        )


def finite(array: Array, name: str, dtype: str) -> Array:
    """The array as the input's dtype; raises BadArrayError where it has infinities or NaN."""
    if not np.isfinite(array).all():
        raise BadArrayError(f"'{name}' has values that are not finite")
    return np.ascontiguousarray(array, dtype=np.dtype(dtype)).reshape(array.shape)


def _holds(dtype: np.dtype[Any], narrow: np.dtype[Any]) -> bool:
    """Whether the type has every number of the other one, which is of its kind."""
    return dtype.kind == narrow.kind and np.can_cast(narrow, dtype)


def header(content: bytes, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], bytes]:
    """Shape, whether it is in Fortran's order, type, and the bytes that follow; raises BadArrayError."""
    found = any_header(content, name)
    if found[2].hasobject:
        hint = 'save a plain array; a calibration set of dicts {input name: array} is of format = "NumpyObject"'
        raise BadArrayError(f"'{name}' holds pickled objects, not plain numbers", hint=hint)
    return found


def any_header(content: bytes, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], bytes]:
    """As `header`, of objects too, whose bytes are a pickle."""
    stream = io.BytesIO(content)
    with door(lambda said: BadArrayError(f"'{name}' is not an .npy file: {said}")):
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise BadArrayError(f"'{name}' has version {version[0]}.{version[1]} of the .npy format")
        shape, fortran, dtype = _HEADERS[version](stream)
    return shape, bool(fortran), dtype, stream.read()
