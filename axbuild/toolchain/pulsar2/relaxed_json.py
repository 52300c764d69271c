"""JSON as people write it: comments with //, /* */ and #, a comma behind the last item. The rest is JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from axbuild.errors import Place
from axbuild.toolchain.pulsar2.config_text import DEEPEST, ConfigFileError, ConfigText, SetTwiceError
from axbuild.toolchain.pulsar2.marked import Marked

_SKIPPED = re.compile(r"(?:\s|//[^\n]*|#[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?(?![\w.])", re.ASCII)
_WORD = re.compile(r"[^\W\d]\w*")
_CONSTANTS = {"true": True, "false": False, "null": None}


def read_json(source: ConfigText) -> Marked:
    reader = _JsonReader(source)
    value = reader.value(0)
    if reader.peek():
        raise reader.wrong("something stands behind the end")
    return value


class _JsonReader:
    def __init__(self, source: ConfigText) -> None:
        self.source, self.text, self.offset = source, source.text, 0

    def peek(self) -> str:
        """The next character that counts, "" at the end; the reader stands before it."""
        skipped = _SKIPPED.match(self.text, self.offset)
        self.offset = skipped.end() if skipped else self.offset
        if self.text.startswith("/*", self.offset):
            raise self.wrong("a comment that does not end")
        return self.text[self.offset : self.offset + 1]

    def wrong(self, reason: str, hint: str = "") -> ConfigFileError:
        return self.source.malformed(reason, self.offset, hint)

    def value(self, depth: int) -> Marked:
        character, place = self.peek(), self.source.at(self.offset)
        if depth > DEEPEST:
            raise self.source.too_deep(place)
        if character == "{":
            return self._table(place, depth)
        if character == "[":
            return self._list(place, depth)
        return Marked(self._string() if character == '"' else self._scalar(), place)

    def _list(self, place: Place, depth: int) -> Marked:
        items: list[Marked] = []
        self._items("]", lambda: items.append(self.value(depth + 1)))
        return Marked(items, place)

    def _table(self, place: Place, depth: int) -> Marked:
        values: dict[str, Marked] = {}
        keys: dict[str, Place] = {}

        def entry() -> None:
            if self.peek() != '"':
                raise self.wrong("a name in double quotes should stand here")
            at = self.source.at(self.offset)
            name = self._string()
            if name in keys:
                raise SetTwiceError(name, at, keys[name])
            if self.peek() != ":":
                raise self.wrong("a colon should stand here")
            self.offset += 1
            keys[name] = at
            values[name] = self.value(depth + 1)

        self._items("}", entry)
        return Marked(values, place, keys)

    def _items(self, end: str, item: Callable[[], None]) -> None:
        """Items with commas between, and perhaps one behind the last, up to the closing bracket."""
        self.offset += 1
        while self.peek() != end:
            if not self.peek():
                raise self.wrong(*_missing("", ""))
            item()
            if self.peek() == ",":
                self.offset += 1
            elif self.peek() not in ("", end):
                raise self.wrong(f"a comma or {end} should stand here")
        self.offset += 1

    def _string(self) -> str:
        found = _STRING.match(self.text, self.offset)
        if not found:
            raise self.wrong("a text that does not end in its line")
        try:
            text = str(json.loads(found[0], strict=False))
            text.encode()
        except ValueError:
            raise self.wrong("a text with an escape that there is not") from None
        self.offset = found.end()
        return text

    def _scalar(self) -> Any:
        if found := _NUMBER.match(self.text, self.offset):
            self.offset = found.end()
            # Digits beyond those of any number here would only take time.
            return float(found[0]) if found[1] or found[2] or len(found[0]) > 40 else int(found[0])
        word = _WORD.match(self.text, self.offset)
        if word and word[0] in _CONSTANTS:
            self.offset = word.end()
            return _CONSTANTS[word[0]]
        raise self.wrong(*_missing(word[0] if word else "", self.peek()))


def _missing(word: str, character: str) -> tuple[str, str]:
    """(what is wrong where a value should stand, the way out)"""
    if not character:
        return "it ends before it is complete", "a closing bracket may be missing"
    if character == "'":
        return "texts stand in double quotes", ""
    if word:
        return f"{word} is no value", f"write {word.lower()}" if word.lower() in _CONSTANTS else f'write "{word}"'
    return "a value should stand here", ""
