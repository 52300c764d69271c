"""`.npy` files -> arrays; no pickle is ever read."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.door import door

SUFFIXES = (".npy",)
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class BadArrayError(AxError):
    """An .npy file that is damaged, holds objects, or does not fit the model's input."""

    code = "AX334"


def decode_array(content: bytes, name: str, shape: tuple[int, ...], dtype: str, tensor: str) -> np.ndarray[Any, Any]:
    """The array of one .npy file of the model input's shape, batch dimension included, as the input's dtype.

    It may hold a narrower type of the same kind, whose numbers are all in the input's: float16 for float32, as a model
    takes in that is float16 itself, or int32 for int64.
    """
    found_shape, fortran, found_dtype, data = header(content, name)
    if found_shape == () and shape == (1,):  # as the front end makes of a scalar input
        found_shape = shape
    if found_shape != shape or not _holds(np.dtype(dtype), found_dtype):
        raise BadArrayError(
            f"'{name}' is {found_dtype} {list(found_shape)}, and model input '{tensor}' is {dtype} {list(shape)}",
            hint="Numpy samples are what the model takes in, batch dimension included; arrays of float16 may stand for "
            "float32, and of int32 for int64",
        )
    if len(data) != (size := math.prod(shape) * found_dtype.itemsize):
        what = "is cut off" if len(data) < size else "goes on behind its array"
        raise BadArrayError(f"'{name}' {what}: its header states {list(shape)} and {len(data)} bytes follow")
    array = np.frombuffer(data, dtype=found_dtype).reshape(shape, order="F" if fortran else "C")
    if not np.isfinite(array).all():
        raise BadArrayError(f"'{name}' has values that are not finite")
    return np.ascontiguousarray(array, dtype=np.dtype(dtype))


def _holds(dtype: np.dtype[Any], narrow: np.dtype[Any]) -> bool:
    """Whether the type has every number of the other one, which is of its kind."""
    return dtype.kind == narrow.kind and np.can_cast(narrow, dtype)


def header(content: bytes, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], bytes]:
    """Shape, whether it is in Fortran's order, type, and the bytes that follow; raises BadArrayError."""
    stream = io.BytesIO(content)
    with door(lambda said: BadArrayError(f"'{name}' is not an .npy file: {said}")):
        version = np.lib.format.read_magic(stream)
        if version not in _HEADERS:
            raise BadArrayError(f"'{name}' has version {version[0]}.{version[1]} of the .npy format")
        shape, fortran, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise BadArrayError(f"'{name}' holds pickled objects, which are never read", hint="save a plain float32 array")
    return shape, bool(fortran), dtype, stream.read()
