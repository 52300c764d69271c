"""A configuration file's text, and the errors that say where in it something stands."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from axbuild.errors import AxError, Place, visible

DEEPEST = 64
"""how deep tables and lists may stand in each other"""
LARGEST_BYTES = 1 << 20
_SHOWN_CHARACTERS = 160


class ConfigFileError(AxError):
    """A file that cannot be read as what its name says it is."""

    code = "AX520"


class SetTwiceError(AxError):
    """A key that stands twice in one table."""

    code = "AX523"

    def __init__(self, name: str, place: Place, first: Place) -> None:
        super().__init__(f"'{name}' is set twice, in line {first.line} already", place=place)


@dataclass(frozen=True)
class ConfigText:
    """name: as the user wrote it; form: "JSON", for messages."""

    name: str
    form: str
    text: str

    @cached_property
    def _starts(self) -> list[int]:
        """Offset of each line."""
        return [0, *accumulate(len(line) + 1 for line in self._lines)]

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")

    @cached_property
    def _places(self) -> dict[int, Place]:
        return {}

    def place(self, line: int) -> Place:
        """Of a line, made once: every value has one."""
        if line not in self._places:
            shown = self._lines[line - 1].strip() if 0 < line <= len(self._lines) else ""
            self._places[line] = Place(self.name, line, visible(shown[:_SHOWN_CHARACTERS]))
        return self._places[line]

    def at(self, offset: int) -> Place:
        return self.place(bisect_right(self._starts, offset))

    def malformed(self, reason: str, offset: int, hint: str = "") -> ConfigFileError:
        column = offset - self._starts[bisect_right(self._starts, offset) - 1] + 1
        return self.invalid(f"{reason} (column {column})", self.at(offset), hint)

    def invalid(self, reason: str, place: Place | None = None, hint: str = "") -> ConfigFileError:
        return ConfigFileError(f"not valid {self.form}: {reason}", place=place or Place(self.name), hint=hint)

    def too_deep(self, place: Place) -> ConfigFileError:
        return self.invalid(f"more than {DEEPEST} levels deep", place)
