"""TOML with the line of every key and value: Python's reader gives values, a scan of the text where they stand."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from axbuild.errors import Place
from axbuild.toolchain.pulsar2.config_text import DEEPEST, ConfigText
from axbuild.toolchain.pulsar2.marked import Marked

Path = tuple[str | int, ...]
_AT = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""+|'
    r"'''.*?'''+|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'|#[^\n]*|[\[\]{}=,.\n]|[^\s\[\]{}=,.#\"']+",
    re.DOTALL,
)
_DEEP_KEY = re.compile(rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{DEEPEST}}}""")
"""a key of so many parts, whose every part Python's reader would look at for every other"""

_LONG = re.compile(r"(?<!\w)\d[\d_]{4300}")
"""a number of more digits than Python reads"""


def read_toml(source: ConfigText) -> Marked:
    if found := _DEEP_KEY.search(source.text):
        raise source.too_deep(source.at(found.start()))
    try:
        data = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        found = _AT.fullmatch(str(error))
        line = int(found[2]) if found and found[2] else source.text.count("\n") + 1
        raise source.invalid(found[1] if found else str(error), source.place(line)) from None
    except RecursionError:
        raise source.too_deep(Place(source.name)) from None
    except ValueError as error:  # of numbers and dates that Python cannot hold
        if found := _LONG.search(source.text):
            raise source.invalid("a number has more than 4,300 digits", source.at(found.start())) from None
        raise source.invalid(str(error)) from None
    return _TomlMarks(source).marked(data, ())


class _TomlMarks:
    """Where keys and values of a valid file stand: path -> offset, filled by one pass over its tokens."""

    def __init__(self, source: ConfigText) -> None:
        self.source = source
        self.offsets: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        self._open: list[Path] = []
        """the lists and inline tables around a token, by path"""
        self._table: Path = ()
        """of the header above"""
        self._current: Path | None = None
        """of the value that tokens belong to; None while they are a key's"""
        self._parts: list[str] = []
        self._header = ""
        for token in _TOKEN.finditer(source.text):
            if not token[0].startswith("#"):
                self._take(token[0], token.start())

    def marked(self, value: Any, path: Path) -> Marked:
        if len(path) > DEEPEST:
            raise self.source.too_deep(self._place(path))
        if isinstance(value, dict):
            items = {name: self.marked(item, (*path, name)) for name, item in value.items()}
            return Marked(items, self._place(path), {name: self._place((*path, name)) for name in value})
        if isinstance(value, list):
            return Marked([self.marked(item, (*path, i)) for i, item in enumerate(value)], self._place(path))
        return Marked(value, self._place(path))

    def _place(self, path: Path) -> Place:
        while path and path not in self.offsets:
            path = path[:-1]
        return self.source.at(self.offsets[path]) if path else Place(self.source.name)

    def _take(self, word: str, offset: int) -> None:
        if word == "\n":
            self._end_of_line()
        elif self._current is None:
            self._key(word, offset)
        else:
            self._value(word, offset, self._current)

    def _end_of_line(self) -> None:
        if self._header:
            self._table = self._entered()
        if not self._open:
            self._current, self._parts, self._header = None, [], ""

    def _key(self, word: str, offset: int) -> None:
        if word == "[":
            self._header += word
            self._header_at = offset
        elif word == "=":
            self._current = (*(self._open[-1] if self._open else self._table), *self._parts)
            for depth in range(1, len(self._current) + 1):
                self.offsets.setdefault(self._current[:depth], offset)
        elif word == "}":
            self._current = self._open.pop()
        elif word not in ".]":
            self._parts.append(tomllib.loads(f"k = {word}")["k"] if word[0] in "\"'" else word)

    def _value(self, word: str, offset: int, current: Path) -> None:
        self.offsets.setdefault(current, offset)
        if word in "[{":
            self._open.append(current)
            self._current, self._parts = ((*current, 0) if word == "[" else None), []
        elif word in "]}":
            self._current = self._open.pop()
        elif word == "," and len(current) == len(self._open[-1]) + 1 and isinstance(current[-1], int):
            self._current = (*current[:-1], current[-1] + 1)
        elif word == ",":
            self._current, self._parts = None, []

    def _entered(self) -> Path:
        """The path of a header, with the index of each table of an array."""
        path: Path = ()
        for depth, part in enumerate(self._parts, 1):
            path = (*path, part)
            if self._header == "[[" and depth == len(self._parts):
                self._counts[path] = self._counts.get(path, -1) + 1
            self.offsets.setdefault(path, self._header_at)
            if path in self._counts:
                path = (*path, self._counts[path])
                self.offsets.setdefault(path, self._header_at)
        return path
