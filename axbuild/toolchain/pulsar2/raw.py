"""Tensors as raw files: one a tensor, called as the tensor is, with its bytes in the model's own type and layout."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.axmodel.feed import RAW
from axbuild.toolchain.file_names import file_name
from axbuild.toolchain.graph import Array, Shape
from axbuild.toolchain.kinds.codes import BOOL
from axbuild.toolchain.npu.plan.boundary import FROM_DATA, BoundaryTensor


class RawFileError(AxError):
    """AX571: a raw file that is missing, has another size than its tensor, or is claimed by two tensors."""

    code = "AX571"


class OutputError(AxError):
    """AX572: a file that cannot be written, or that must not be overwritten."""

    code = "AX572"


def raw_files(tensors: Iterable[str]) -> dict[str, str]:
    """Tensor -> its file; raises RawFileError where two have the same one."""
    owners: dict[str, str] = {}
    for tensor in tensors:
        file = file_name(tensor) + RAW
        if owners.setdefault(file, tensor) != tensor:
            raise RawFileError(f"'{owners[file]}' and '{tensor}' would both be the file {file}")
    return {tensor: file for file, tensor in owners.items()}


def shape_in(path: Path, tensor: BoundaryTensor, count: int) -> Shape:
    """Of what a file holds, which is `count` samples; one size that the model leaves open follows from the bytes.

    Raises RawFileError where there is no such file, or its size is another one.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise _unreadable(path, tensor, error) from None
    if not path.is_file():
        raise RawFileError(f"{path}, the file of input '{tensor.name}', is no file")
    shape = tensor.at_batch(count)
    item = np.dtype(tensor.dtype).itemsize
    known = math.prod(size for size in shape if size != FROM_DATA) * item
    if shape.count(FROM_DATA) == 1 and found.st_size and known and found.st_size % known == 0:
        return tuple(found.st_size // known if size == FROM_DATA else size for size in shape)
    if FROM_DATA not in shape and found.st_size == known:
        return shape
    wanted = f"a multiple of {known:,}" if FROM_DATA in shape else f"{known:,}"
    raise RawFileError(
        f"{path} has {found.st_size:,} bytes, and input '{tensor.name}' takes {wanted}: {described(tensor, count)}",
        hint=_samples_hint(found.st_size, tensor),
    )


def _samples_hint(size: int, tensor: BoundaryTensor) -> str:
    one = math.prod(tensor.shape) * np.dtype(tensor.dtype).itemsize
    if tensor.batch_axis is None or not tensor.static or not size or size % one:
        return ""
    return f"--batch_size says how many samples the files hold, and this has the bytes of {size // one}"


def _unreadable(path: Path, tensor: BoundaryTensor, error: OSError | ValueError) -> RawFileError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return RawFileError(f"there is no file {path} for the input '{tensor.name}', {described(tensor, 1)}")
    reason = error.strerror if isinstance(error, OSError) else error
    return RawFileError(f"{path}, the file of input '{tensor.name}', cannot be read: {reason}")


def described(tensor: BoundaryTensor, count: int) -> str:
    """Element type and shape of so many samples: "uint8 [4, 224, 224, 3]"."""
    return f"{tensor.dtype} [{', '.join('?' if n == FROM_DATA else str(n) for n in tensor.at_batch(count))}]"


def read_raw(path: Path, tensor: BoundaryTensor, count: int) -> Array:
    """What a file holds; raises RawFileError as `shape_in` does."""
    shape = shape_in(path, tensor, count)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, tensor, error) from None
    # Every byte but 0 is true, and numpy takes none but 0 and 1 for a truth.
    stored = BOOL.carried if tensor.dtype == BOOL.dtype else tensor.dtype
    return np.frombuffer(content, stored).reshape(shape).astype(tensor.dtype, copy=False)


def write_raw(folder: Path, arrays: Mapping[str, Array]) -> None:
    """File name -> what to write: all files, or none and nothing half-written. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=folder))
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}") from None
    try:
        if odd := [name for name in arrays if (folder / name).is_dir()]:
            raise OutputError(f"{folder / odd[0]} is a folder, and a file of that name is to be written")
        for name, array in arrays.items():
            (fresh / name).write_bytes(array.tobytes())
        for name in arrays:
            (fresh / name).replace(folder / name)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
