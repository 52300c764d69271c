"""Protobuf's text form of the configuration.

A reader of our own, since protobuf's says of no value where it stands and of a wrong one only its own words; tests hold
it to protobuf's over the vendor's field numbers. A free dictionary is written as google.protobuf.Struct.
"""

from __future__ import annotations

import re
from typing import Any

from axbuild.errors import Place
from axbuild.toolchain.pulsar2.config_text import DEEPEST, ConfigFileError, ConfigText, SetTwiceError
from axbuild.toolchain.pulsar2.marked import Marked
from axbuild.toolchain.pulsar2.message import Message, Setting, message_in, settings_of
from axbuild.toolchain.pulsar2.takes import Dictionary, Many, Takes, Toggle

_SKIPPED = re.compile(r"(?:\s|#[^\n]*)*")
_TOKEN = re.compile(
    r"""(?P<name>[A-Za-z_]\w*)|(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    r"""|(?P<number>(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[fF]?)(?![\w.]))|(?P<mark>[-:{}<>\[\],;])""",
    re.ASCII,
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_LETTERS = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34, "?": 63}
_TRUTHS = {"true": True, "True": True, "t": True, 1: True, "false": False, "False": False, "f": False, 0: False}
_CLOSING = {"{": "}", "<": ">"}
_LONGEST_NUMBER = 40
_CUT = "it ends before it is complete"
_MANY_IN_STRUCT = ("fields", "values")


def _inner(takes: Takes) -> Takes:
    return takes.item if isinstance(takes, Many) else takes


class _Name(str):
    """A word without quotes: an enum's value, true or false."""


def read_prototxt(source: ConfigText, message: type[Message]) -> Marked:
    return _TextReader(source).table(message, "", Place(source.name), 0)


class _TextReader:
    def __init__(self, source: ConfigText) -> None:
        self.source, self.offset = source, 0
        self.kind, self.word, self.start = "", "", 0
        self.advance()

    def advance(self) -> str:
        """Step behind the current token, which is given back."""
        word = self.word
        skipped = _SKIPPED.match(self.source.text, self.offset)
        self.start = skipped.end() if skipped else self.offset
        found = _TOKEN.match(self.source.text, self.start)
        if found is None and self.start < len(self.source.text):
            raise self.wrong("something that is no part of it")
        self.kind, self.word = (found.lastgroup or "", found[0]) if found else ("", "")
        self.offset = found.end() if found else self.start
        return word

    def wrong(self, reason: str) -> ConfigFileError:
        return self.source.malformed(reason, self.start)

    def taken(self, *words: str) -> bool:
        """Whether the current token was one of these marks, and is now behind."""
        return self.kind == "mark" and self.word in words and bool(self.advance())

    def table(self, message: type[Message] | None, end: str, place: Place, depth: int) -> Marked:
        """The fields of a message up to the closing mark; message: None inside a Struct, and where none is known."""
        if depth > DEEPEST:
            raise self.source.too_deep(place)
        values: dict[str, Marked] = {}
        keys: dict[str, Place] = {}
        known = settings_of(message) if message else {}
        while self.word != end:
            at = self.source.at(self.start)
            if self.kind != "name":
                raise self.wrong("a field's name should stand here" if self.word else _CUT)
            name = self.advance()
            declared = known.get(name)
            value = self._field(declared, depth)
            if declared.takes.many if declared else name in _MANY_IN_STRUCT:
                items = value.value if isinstance(value.value, list) else [value]
                value = values.setdefault(name, Marked([], value.place))
                value.value.extend(items)
            elif name in keys:
                raise SetTwiceError(name, at, keys[name])
            values[name] = value
            keys.setdefault(name, at)
        self.advance()
        return Marked(values, place, keys)

    def _field(self, declared: Setting | None, depth: int) -> Marked:
        colon = self.taken(":")
        if not colon and not (self.kind == "mark" and self.word in "{<["):
            raise self.wrong("a colon should stand here")
        place = self.source.at(self.start)
        value = self._list(declared, place, depth) if self.taken("[") else self._one(declared, depth)
        self.taken(",", ";")
        return value

    def _list(self, declared: Setting | None, place: Place, depth: int) -> Marked:
        items: list[Marked] = []
        while not self.taken("]"):
            if items and not self.taken(","):
                raise self.wrong("a comma or ] should stand here")
            items.append(self._one(declared, depth))
        return Marked(items, place)

    def _one(self, declared: Setting | None, depth: int) -> Marked:
        place = self.source.at(self.start)
        if self.kind == "mark" and self.word in _CLOSING:
            end = _CLOSING[self.advance()]
            table = self.table(message_in(declared.takes) if declared else None, end, place, depth + 1)
            return _dictionary(table) if declared and isinstance(declared.takes, Dictionary) else table
        if declared and self.kind == "name" and _inner(declared.takes).word == "string":
            raise self.wrong(f"{self.word} stands for a text, without quotes")
        value = self._scalar()
        if declared and isinstance(declared.takes, Toggle) and isinstance(value, _Name | int):
            value = _TRUTHS.get(value, value)
        return Marked(value, place)

    def _scalar(self) -> Any:
        if self.kind == "text":
            return self._text()
        if self.kind == "name":
            return _Name(self.advance())
        sign = -1 if self.taken("-") else 1
        if self.kind != "number":
            raise self.wrong("a value should stand here" if self.word else _CUT)
        return sign * _number(self.advance())

    def _text(self) -> str:
        """Texts that follow each other are one."""
        data = b""
        while self.kind == "text":
            try:
                data += _bytes(self.word[1:-1])
            except ValueError:
                raise self.wrong("a text with an escape that there is not") from None
            self.advance()
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise self.wrong("a text that is not UTF-8") from None


def _bytes(body: str) -> bytes:
    """What stands between quotes, its escapes as the bytes that they are; ValueError where there is no such escape."""
    data, end = b"", 0
    for found in _ESCAPE.finditer(body):
        byte, octal, short, long, letter = found.groups()
        data += body[end : found.start()].encode()
        if code := short or long:
            data += chr(int(code, 16)).encode()
        elif letter:
            if letter not in _LETTERS:
                raise ValueError(letter)
            data += bytes([_LETTERS[letter]])
        else:
            data += bytes([int(byte, 16) if byte else int(octal, 8)])
        end = found.end()
    return data + body[end:].encode()


def _number(word: str) -> int | float:
    if word[:2].lower() == "0x":
        return int(word, 16)
    if word.isdecimal() and len(word) <= _LONGEST_NUMBER:
        return int(word, 8) if word[0] == "0" and not set(word) & {"8", "9"} else int(word)
    return float(word.rstrip("fF"))


def _dictionary(struct: Marked) -> Marked:
    """A Struct, `fields { key: "a" value { number_value: 1 } }`, as the table that it means."""
    values: dict[str, Marked] = {}
    keys: dict[str, Place] = {}
    for entry in _entries(struct, "fields"):
        table = entry.value if isinstance(entry.value, dict) else {}
        name = str(table["key"].value) if "key" in table else ""
        values[name] = _value(table.get("value", entry))
        keys[name] = entry.place or Place("")
    return Marked(values, struct.place, keys)


def _value(one: Marked) -> Marked:
    """What a Struct's Value holds; the table itself where it is none, which no field takes."""
    if not isinstance(one.value, dict) or len(one.value) != 1:
        return one
    ((name, held),) = one.value.items()
    if name == "list_value":
        return Marked([_value(item) for item in _entries(held, "values")], held.place)
    if name == "bool_value" and isinstance(held.value, _Name | int):
        return Marked(_TRUTHS.get(held.value, held.value), held.place)
    if name == "number_value" and isinstance(held.value, float) and held.value.is_integer():
        return Marked(int(held.value), held.place)
    return held if name in ("string_value", "number_value") else one


def _entries(table: Marked, name: str) -> list[Marked]:
    entries = table.value.get(name) if isinstance(table.value, dict) else None
    return entries.value if entries and isinstance(entries.value, list) else []
