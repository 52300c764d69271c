"""Pickles as numpy writes them for a dict of plain arrays, read by a small interpreter of our own.

It knows the opcodes that numpy 1 and 2 emit for such a dict at protocols 2 to 5, and five names, which stand for steps
below and are never looked up: nothing is imported, nothing of the file's choosing is called, and nothing is made but
dicts, lists, tuples, texts, bytes, whole numbers and arrays, which are views of the file's own bytes. What the values
hold is never walked through, so that one that holds itself a thousand times costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from axbuild.errors import AxError
from axbuild.toolchain.door import door
from axbuild.toolchain.graph import Array

MAX_OPCODES = 2**18
"""an array takes some forty"""
MAX_RANK = 32
_KINDS = "biuf"
_SHOWN = 80
"""characters of a name out of the file"""


class PickleRefused(AxError):
    """A pickle that holds, or asks for, something else than a dict of plain arrays, or that is damaged."""

    code = "AX345"


class _Step(Enum):
    """What a pickle of numpy's asks for by name."""

    NDARRAY = "ndarray"
    DTYPE = "dtype"
    EMPTY_ARRAY = "_reconstruct"
    ARRAY_OF_BYTES = "_frombuffer"
    BYTES_OF_TEXT = "encode"


_NAMES = {
    ("numpy", "ndarray"): _Step.NDARRAY,
    ("numpy", "dtype"): _Step.DTYPE,
    ("numpy.core.multiarray", "_reconstruct"): _Step.EMPTY_ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): _Step.EMPTY_ARRAY,
    ("numpy.core.numeric", "_frombuffer"): _Step.ARRAY_OF_BYTES,
    ("numpy._core.numeric", "_frombuffer"): _Step.ARRAY_OF_BYTES,
    ("_codecs", "encode"): _Step.BYTES_OF_TEXT,
}


@dataclass
class _Type:
    """`dtype(text)`, and its order of bytes, which BUILD states."""

    text: str
    order: str = "|"

    @property
    def is_object(self) -> bool:
        return self.text == "O8"

    def plain(self) -> np.dtype[Any]:
        if self.text[:1] not in _KINDS or not self.text[1:].isdigit():
            raise ValueError(f"it holds an array of dtype {self.text[:_SHOWN]}, which is not of plain numbers")
        return np.dtype(self.order + self.text)


@dataclass
class _Array:
    """An array; `made` is None until BUILD states it: a plain one, or the items of one of objects."""

    made: Array | list[Any] | None = None


class _OpenMark:
    """Where the items of the next tuple, list or dict begin."""


_MARK = _OpenMark()


def read_arrays(content: bytes, name: str) -> dict[str, Array]:
    """The dict {text: array} that numpy pickled as the one item of an array of objects; raises PickleRefused."""
    hint = "a NumpyObject sample is numpy.save(file, {input name: array, ...}) with plain arrays"
    with door(lambda said: PickleRefused(f"'{name}' is not a pickled dict of plain arrays: {said}", hint=hint)):
        value = _Machine(memoryview(content)).run()
        if not isinstance(value, _Array) or not isinstance(value.made, list) or len(value.made) != 1:
            raise ValueError(f"it holds {_called(value)}")
        (held,) = value.made
        if not isinstance(held, dict):
            raise ValueError(f"it holds {_called(held)}")
        return {_text(key): _plain(key, item) for key, item in held.items()}


def _plain(key: str, item: Any) -> Array:
    if not isinstance(item, _Array) or not isinstance(item.made, np.ndarray):
        raise ValueError(f"under '{key[:_SHOWN]}' it holds {_called(item)}")
    return item.made


def _called(value: Any) -> str:
    """Of which type it is, which is all that is ever said of a value."""
    if isinstance(value, _Array):
        return "an array of objects" if isinstance(value.made, list) else "an array"
    if isinstance(value, _Step | _Type | _OpenMark):
        return "no value"
    return f"a value of type {type(value).__name__}"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_called(value)} stands where a text should")
    return value


class _Machine:
    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(MAX_OPCODES):
            code = self.take(1)[0]
            if code == _STOP:
                value = self.pop()
                if self.stack or self.at != len(self.data):
                    raise ValueError("it goes on behind its end")
                return value
            step = _STEPS.get(code)
            if step is None:
                raise ValueError(f"it has the opcode {_OTHERS.get(code, f'{code:#04x}')}, which no such dict needs")
            step(self)
        raise ValueError(f"it has more than {MAX_OPCODES} opcodes")

    # -- bytes ----------------------------------------------------------------------------------

    def take(self, size: int) -> memoryview:
        if size > len(self.data) - self.at:
            raise ValueError("it is cut off")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "little", signed=signed)

    def line(self) -> str:
        text = bytearray()
        while (byte := self.take(1)[0]) != ord("\n"):
            text.append(byte)
            if len(text) > 4 * _SHOWN:
                raise ValueError("it has a name without an end")
        return text.decode()

    # -- the stack ------------------------------------------------------------------------------

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise ValueError("it takes a value where there is none")
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise ValueError(f"it fills a {kind.__name__} where there is none")
        return self.stack[-1]

    def popped(self, count: int) -> tuple[Any, ...]:
        return tuple(reversed([self.pop() for _ in range(count)]))

    def since_mark(self) -> list[Any]:
        items: list[Any] = []
        while self.stack and self.stack[-1] is not _MARK:
            items.append(self.stack.pop())
        if not self.stack:
            raise ValueError("it takes values without a mark")
        self.stack.pop()
        return items[::-1]

    # -- steps ----------------------------------------------------------------------------------

    def protocol(self) -> None:
        if (version := self.number(1)) not in range(2, 6):
            raise ValueError(f"it is of protocol {version}, and 2 to 5 are read")

    def frame(self) -> None:
        """Only how much to read ahead."""
        self.take(8)

    def append(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def put(self, place: int) -> None:
        value = self.pop()
        self.memo[place] = value
        self.push(value)

    def recall(self, place: int) -> None:
        if place not in self.memo:
            raise ValueError("it recalls what it never kept")
        self.push(self.memo[place])

    def known(self, module: str, name: str) -> None:
        if (module, name) not in _NAMES:
            raise ValueError(f"it asks for {f'{module}.{name}'[:_SHOWN]}, which is not made")
        self.push(_NAMES[module, name])

    def known_by_texts(self) -> None:
        module, name = self.popped(2)
        self.known(_text(module), _text(name))

    def set_items(self, items: list[Any]) -> None:
        held = self.top(dict)
        if len(items) % 2:
            raise ValueError("it has a key without a value")
        for key, value in zip(items[::2], items[1::2], strict=True):
            held[_text(key)] = value

    def apply(self) -> None:
        what, arguments = self.popped(2)
        match what, arguments:
            case _Step.EMPTY_ARRAY, (_Step.NDARRAY, (0,), bytes()):
                self.push(_Array())
            case _Step.DTYPE, (str(text), int(), int()):
                self.push(_Type(text))
            case _Step.BYTES_OF_TEXT, (str(text), "latin1"):
                self.push(text.encode("latin1"))
            case _Step.ARRAY_OF_BYTES, (
                bytes() | memoryview() as data,
                _Type() as kind,
                tuple(shape),
                ("C" | "F") as order,
            ):
                self.push(_Array(_array(data, kind.plain(), shape, order)))
            case _:
                raise ValueError("it calls what numpy does not call")

    def build(self) -> None:
        made, state = self.popped(2)
        match made, state:
            case _Type(), (3, ("<" | ">" | "|" | "=") as order, None, None, None, int(), int(), int()):
                made.order = order
            case _Array(made=None), (1, tuple(shape), _Type() as kind, int(fortran), content):
                made.made = _stated(shape, kind, fortran, content)
            case _:
                raise ValueError("it builds what numpy does not build")
        self.push(made)


def _stated(shape: tuple[Any, ...], kind: _Type, fortran: int, content: Any) -> Array | list[Any]:
    """What BUILD says that an array holds: numbers, or objects."""
    if isinstance(content, bytes | memoryview):
        return _array(content, kind.plain(), shape, "F" if fortran else "C")
    if not kind.is_object or shape or not isinstance(content, list):
        raise ValueError("it holds an array of another kind than plain numbers")
    return content


def _array(data: bytes | memoryview, dtype: np.dtype[Any], shape: tuple[Any, ...], order: Any) -> Array:
    """A view of the bytes, of which there must be as many as the shape takes."""
    if len(shape) > MAX_RANK or not all(isinstance(size, int) and size >= 0 for size in shape):
        raise ValueError("it holds an array without a proper shape")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"it holds {len(data)} bytes for an array of another size")
    return np.frombuffer(data, dtype).reshape(shape, order=order)


_STOP = ord(".")
_STEPS: dict[int, Callable[[_Machine], None]] = {
    0x80: lambda m: m.protocol(),
    0x95: lambda m: m.frame(),
    ord("("): lambda m: m.push(_MARK),
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("J"): lambda m: m.push(m.number(4, signed=True)),
    ord("K"): lambda m: m.push(m.number(1)),
    ord("M"): lambda m: m.push(m.number(2)),
    0x8A: lambda m: m.push(m.number(m.number(1), signed=True)),
    ord("X"): lambda m: m.push(str(m.take(m.number(4)), "utf-8", "surrogatepass")),
    0x8C: lambda m: m.push(str(m.take(m.number(1)), "utf-8", "surrogatepass")),
    0x8D: lambda m: m.push(str(m.take(m.number(8)), "utf-8", "surrogatepass")),
    ord("C"): lambda m: m.push(bytes(m.take(m.number(1)))),
    ord("B"): lambda m: m.push(m.take(m.number(4))),
    0x8E: lambda m: m.push(m.take(m.number(8))),
    0x96: lambda m: m.push(m.take(m.number(8))),
    ord(")"): lambda m: m.push(()),
    0x85: lambda m: m.push(m.popped(1)),
    0x86: lambda m: m.push(m.popped(2)),
    0x87: lambda m: m.push(m.popped(3)),
    ord("t"): lambda m: m.push(tuple(m.since_mark())),
    ord("]"): lambda m: m.push([]),
    ord("a"): lambda m: m.append([m.pop()]),
    ord("e"): lambda m: m.append(m.since_mark()),
    ord("}"): lambda m: m.push({}),
    ord("s"): lambda m: m.set_items(list(m.popped(2))),
    ord("u"): lambda m: m.set_items(m.since_mark()),
    0x94: lambda m: m.put(len(m.memo)),
    ord("q"): lambda m: m.put(m.number(1)),
    ord("r"): lambda m: m.put(m.number(4)),
    ord("h"): lambda m: m.recall(m.number(1)),
    ord("j"): lambda m: m.recall(m.number(4)),
    ord("c"): lambda m: m.known(m.line(), m.line()),
    0x93: lambda m: m.known_by_texts(),
    ord("R"): lambda m: m.apply(),
    ord("b"): lambda m: m.build(),
}
_OTHERS = {
    **{ord("i"): "INST", ord("o"): "OBJ", 0x81: "NEWOBJ", 0x92: "NEWOBJ_EX", ord("P"): "PERSID", ord("Q"): "BINPERSID"},
    **{0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x97: "NEXT_BUFFER", 0x98: "READONLY_BUFFER", 0x8B: "LONG4"},
    **{ord("I"): "INT", ord("L"): "LONG", ord("F"): "FLOAT", ord("G"): "BINFLOAT", ord("S"): "STRING"},
    **{ord("T"): "BINSTRING", ord("U"): "SHORT_BINSTRING", ord("V"): "UNICODE", ord("d"): "DICT", ord("l"): "LIST"},
    **{ord("p"): "PUT", ord("g"): "GET", ord("0"): "POP", ord("1"): "POP_MARK", ord("2"): "DUP"},
    **{0x8F: "EMPTY_SET", 0x90: "ADDITEMS", 0x91: "FROZENSET"},
}
