"""TOML files whose errors can name a line.

The reader gives values without positions, so a line is looked for only when an error needs one: a
light scan of the text that knows headers, keys, strings and brackets, and is right for every file
that the reader accepted.
"""

from __future__ import annotations

import re
from typing import Any

import rtoml

from axbuild.dataclass import dataclass
from axbuild.errors import AxError, Place, lfs_hint
from axbuild.workspace.disk import Disk, Unreadable

_AT = re.compile(r"(.*) at line (\d+) column (\d+)\Z", re.DOTALL)
_KEY_PART = r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'"""
_KEY = re.compile(rf"[ \t]*((?:{_KEY_PART})(?:[ \t]*\.[ \t]*(?:{_KEY_PART}))*)[ \t]*=")
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*((?:{_KEY_PART})(?:[ \t]*\.[ \t]*(?:{_KEY_PART}))*)[ \t]*\]")
_PART = re.compile(_KEY_PART)
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""+|' r"'''.*?'''+|" r'"(?:[^"\\\n]|\\.)*"|' r"'[^'\n]*'|#[^\n]*|[\[\]{}\n]", re.DOTALL
)

_LONG_NUMBER = re.compile(r"[0-9a-fA-F_]{16}")
_SHOWN_CHARACTERS = 160

Path = tuple[str | int, ...]
"""keys and array indices from the top of the file"""


class InvalidToml(AxError):
    code = "AX101"

    def __init__(self, reason: str, place: Place, hint: str = "") -> None:
        super().__init__(f"not valid TOML: {reason}", place=place, hint=hint)


@dataclass(frozen=True)
class TomlText:
    """A TOML file: its text and its values."""

    file: str
    text: str
    data: dict[str, Any]

    @staticmethod
    def read(disk: Disk, file: str) -> TomlText:
        """Read a file of the workspace; errors name the line."""
        return TomlText.of(file, read_text(disk, file))

    @staticmethod
    def of(file: str, text: str) -> TomlText:
        try:
            read = TomlText(file, text, rtoml.loads(text))
        except rtoml.TomlParsingError as error:
            match = _AT.match(str(error))
            line = int(match[2]) if match else 0
            reason = f"{match[1]} (column {match[3]})" if match else str(error)
            raise InvalidToml(reason, place_at(file, text, line), lfs_hint(text.encode())) from None
        if _LONG_NUMBER.search(text) and (path := _too_large(read.data, ())) is not None:
            raise InvalidToml("a whole number must fit in 64 bits", read.place(path))
        return read

    def place(self, path: Path) -> Place:
        """Where the value at `path` is written; the nearest enclosing key where it has no line of its own."""
        return place_in(self.file, self.text, path)


def read_text(disk: Disk, file: str) -> str:
    try:
        data = disk.read(file)
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(file, f"byte {error.start}, in line {line}, is not UTF-8") from None


def place_in(file: str, text: str, path: Path) -> Place:
    """Line of the value at `path` in the text of a valid file."""
    lines = _lines(text)
    while path:
        if path in lines:
            return place_at(file, text, lines[path])
        path = path[:-1]
    return Place(file)


def place_at(file: str, text: str, line: int) -> Place:
    found = text.split("\n")[line - 1 : line] if line else []
    return Place(file, line, _shown(found[0].strip()) if found else "")


def _shown(line: str) -> str:
    """A line as a terminal can show it: what is no character is escaped, what is endless is cut."""
    cut = line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}..."
    return "".join(c if c.isprintable() or c == "\t" else ascii(c)[1:-1] for c in cut)


def _too_large(value: Any, path: Path) -> Path | None:
    """Where a whole number stands that TOML does not allow and no record of ours can hold."""
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return next((found for key, item in items if (found := _too_large(item, (*path, key))) is not None), None)


def _lines(text: str) -> dict[Path, int]:
    """Path of every header and key -> its line; items of inline tables and arrays have none of their own."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    position, line = 0, 1
    while position < len(text):
        if header := _HEADER.match(text, position):
            table = _enter(_parts(header[2]), header[1] == "[[", counts)
            for depth in range(1, len(table) + 1):
                lines.setdefault(table[:depth], line)
            end = header.end()
        elif key := _KEY.match(text, position):
            path = table
            for part in _parts(key[1]):
                path = (*path, part)
                lines.setdefault(path, line)
            end = key.end()
        else:
            end = position
        end = _end_of_statement(text, end)
        line += text.count("\n", position, end)
        position = end
    return lines


def _parts(key: str) -> list[str]:
    parts = []
    for part in _PART.findall(key):
        if part.startswith('"'):
            parts.append(str(rtoml.loads(f"k = {part}")["k"]))
        else:
            parts.append(part[1:-1] if part.startswith("'") else part)
    return parts


def _enter(parts: list[str], array: bool, counts: dict[Path, int]) -> Path:
    path: Path = ()
    for depth, part in enumerate(parts):
        path = (*path, part)
        if array and depth == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _end_of_statement(text: str, position: int) -> int:
    depth = 0
    for token in _TOKEN.finditer(text, position):
        word = token[0]
        if word in "[{":
            depth += 1
        elif word in "]}":
            depth -= 1
        elif word == "\n" and depth <= 0:
            return token.end()
    return len(text)
