"""PyTorch's old .pth files -> arrays, without torch and without pickle: nothing in such a file is executed.

The file is a row of pickles (a magic number, a protocol version, facts on the machine, the object, the keys of its
storages) and then each storage: its length as int64, and its raw values. Of pickle's instructions only those that a
dictionary of tensors needs are carried out, and each only builds plain values.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from axbuild.errors import AxError

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {"torch FloatStorage": "<f4", "torch LongStorage": "<i8"}
REBUILD, ORDERED = "torch._utils _rebuild_tensor_v2", "collections OrderedDict"
MARK = object()


class UnreadableTorchFile(AxError):
    """The file is not a dictionary of tensors in PyTorch's old format."""

    code = "AX303"


@dataclass(frozen=True)
class Name:
    """What a pickle would import; here it stays a name."""

    text: str


@dataclass(frozen=True)
class Storage:
    key: str
    dtype: str
    length: int


@dataclass(frozen=True)
class Tensor:
    """A window of a storage: its first element, its shape, and the elements between neighbours along each axis."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_tensors(file: Path) -> dict[str, np.ndarray]:
    """Arrays by name."""
    with file.open("rb") as stream:
        try:
            magic, protocol, _machine, found, keys = (load(stream) for _ in range(5))
            if magic != MAGIC or protocol != 1001:
                raise UnreadableTorchFile(f"{file.name} is not a file of PyTorch's old format")
            storages = {tensor.storage.key: tensor.storage for tensor in found.values()}
            raw = {key: stream.read(storage_bytes(stream, storages[key])) for key in keys}
        except (ValueError, LookupError, TypeError, AttributeError, struct.error) as error:
            raise UnreadableTorchFile(f"{file.name} is not a dictionary of tensors: {error}") from error
    return {name: array_of(tensor, raw[tensor.storage.key]) for name, tensor in found.items()}


def storage_bytes(stream: BinaryIO, storage: Storage) -> int:
    """Bytes of the storage that begins here, which states its length once more."""
    (length,) = struct.unpack("<q", stream.read(8))
    if length != storage.length:
        raise ValueError(f"storage {storage.key} has {length} values, and {storage.length} are announced")
    return length * np.dtype(storage.dtype).itemsize


def array_of(tensor: Tensor, raw: bytes) -> np.ndarray:
    """A copy, so that no shape or stride of the file's own can reach beyond the storage."""
    values = np.frombuffer(raw, dtype=tensor.storage.dtype)
    last = tensor.offset + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.strides, strict=True))
    if min((tensor.offset, *tensor.strides, *tensor.shape)) < 0 or last >= len(values):
        raise UnreadableTorchFile(f"a tensor of shape {list(tensor.shape)} leaves its storage")
    steps = [step * values.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, steps).copy()


def load(stream: BinaryIO) -> Any:
    """The value of the pickle that begins here; the stream then stands behind it."""
    machine = Machine()
    for opcode, argument, _ in pickletools.genops(stream):
        machine.step(opcode.name, argument)
    return machine.stack.pop()


class Machine:
    """The stack and the memory of one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def step(self, instruction: str, argument: Any) -> None:
        if instruction in PUSHED:
            self.stack.append(PUSHED[instruction](argument))
        elif instruction in ("BINPUT", "LONG_BINPUT"):
            self.memory[argument] = self.stack[-1]
        elif instruction in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memory[argument])
        elif instruction in ("TUPLE", "SETITEMS", "APPENDS"):
            self.take_marked(instruction)
        elif instruction in TUPLES:
            count = TUPLES[instruction]
            self.stack[len(self.stack) - count :] = [tuple(self.stack[len(self.stack) - count :])]
        elif instruction in ("BINPERSID", "REDUCE"):
            self.build(instruction)
        elif instruction == "SETITEM":
            value, key = self.stack.pop(), self.stack.pop()
            self.stack[-1][key] = value
        elif instruction == "APPEND":
            value = self.stack.pop()
            self.stack[-1].append(value)
        elif instruction == "BUILD":  # versions of modules, which are about no tensor
            self.stack.pop()
        elif instruction not in ("PROTO", "STOP"):
            raise ValueError(f"the instruction {instruction} has no business in a dictionary of tensors")

    def take_marked(self, instruction: str) -> None:
        """What stands on the last mark becomes a tuple, or goes into the dictionary or list below it."""
        at = max(index for index, value in enumerate(self.stack) if value is MARK)
        values = self.stack[at + 1 :]
        del self.stack[at:]
        if instruction == "TUPLE":
            self.stack.append(tuple(values))
        elif instruction == "APPENDS":
            self.stack[-1].extend(values)
        else:
            self.stack[-1].update(zip(values[::2], values[1::2], strict=True))

    def build(self, instruction: str) -> None:
        """A storage that is announced, an empty dictionary, or a tensor; nothing else is ever built."""
        value = self.stack.pop()
        if instruction == "BINPERSID":
            _, kind, key, _device, length, _view = value
            self.stack.append(Storage(key, STORAGES[kind.text], length))
            return
        made = self.stack.pop()
        if made == Name(ORDERED) and not value:
            self.stack.append({})
        elif made == Name(REBUILD):
            storage, offset, shape, strides = value[:4]
            self.stack.append(Tensor(storage, offset, shape, strides))
        else:
            raise ValueError(f"it asks for {getattr(made, 'text', made)}, which is no tensor")


PUSHED: dict[str, Callable[[Any], Any]] = {
    "BINFLOAT": float,
    "BININT": int,
    "BININT1": int,
    "BININT2": int,
    "BINUNICODE": str,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
    "GLOBAL": Name,
    "LONG1": int,
    "MARK": lambda _: MARK,
    "NEWFALSE": lambda _: False,
    "NEWTRUE": lambda _: True,
    "NONE": lambda _: None,
}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
