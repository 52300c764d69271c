"""What a field of the vendor's configuration takes: one small class a kind of value.

A kind reads what a file or a flag says, refuses the rest in a sentence, and is the JSON Schema, the help and the
reference page of every field that has it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from axbuild.errors import AxError
from axbuild.toolchain.pulsar2.marked import Marked, meant, shown

Schema = dict[str, Any]
Enum = Mapping[str, int | None]
"""name of a value -> the vendor's number for it; None where none is published"""


class BadSettingError(AxError):
    """A value that its field does not take."""

    code = "AX522"

    def __init__(self, path: str, takes: str, got: Marked, hint: str = "") -> None:
        super().__init__(f"{path} takes {takes}, got {got}", place=got.place, hint=hint)


class Takes:
    """Base of the kinds. word: the type as the help names it; many: a field that may be written several times."""

    word = "value"
    many = False

    @property
    def sentence(self) -> str:
        """As in "takes <sentence>, got 3"."""
        raise NotImplementedError

    @property
    def limits(self) -> str:
        """What bounds the value, in words."""
        return ""

    def read(self, given: Marked, path: str) -> Any:
        """The plain value of the field called `path`; raises BadSettingError."""
        raise NotImplementedError

    def of_word(self, word: str) -> Any:
        """What a word of a command line says, to be read; the word itself where it is nothing else."""
        return word

    def schema(self) -> Schema:
        raise NotImplementedError

    def wrong(self, given: Marked, path: str, hint: str = "") -> BadSettingError:
        return BadSettingError(path, self.sentence, given, hint)


@dataclass(frozen=True)
class Text(Takes):
    """A text; pattern: a regular expression that it matches as a whole, `form` in words."""

    pattern: str = ""
    form: str = "a text"
    word = "string"

    @property
    def sentence(self) -> str:
        return self.form

    def read(self, given: Marked, path: str) -> str:
        if not isinstance(given.value, str):
            hint = f'write "{shown(given.value)}", in quotes' if isinstance(given.value, int | float) else ""
            raise self.wrong(given, path, hint)
        if self.pattern and not re.fullmatch(self.pattern, given.value):
            raise self.wrong(given, path)
        return given.value

    def schema(self) -> Schema:
        return {"type": "string"} | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})


@dataclass(frozen=True)
class Toggle(Takes):
    word = "bool"
    sentence = "true or false"

    def read(self, given: Marked, path: str) -> bool:
        if not isinstance(given.value, bool):
            raise self.wrong(given, path, "without quotes" if str(given.value).lower() in _TOGGLES else "")
        return given.value

    def of_word(self, word: str) -> Any:
        return _TOGGLES.get(word.lower(), word)

    def schema(self) -> Schema:
        return {"type": "boolean"}


_TOGGLES = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True)
class Number(Takes):
    """A finite number from low to high; above, below: bounds that it does not reach; also: one number more."""

    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    also: float | None = None
    word = "float"
    noun = "a number"

    @property
    def limits(self) -> str:
        bounds = (("at least", self.low), ("above", self.above), ("at most", self.high), ("below", self.below))
        said = " and ".join(f"{word} {shown(bound)}" for word, bound in bounds if bound is not None)
        if self.low is not None and self.high is not None:
            said = f"from {shown(self.low)} to {shown(self.high)}"
        return said if self.also is None else f"{said}, or {shown(self.also)}"

    @property
    def sentence(self) -> str:
        return f"{self.noun}{' of' if self.limits.startswith('at') else ''} {self.limits}".rstrip()

    def read(self, given: Marked, path: str) -> Any:
        value = given.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(given, path, "without quotes" if isinstance(self.of_word(str(value)), int | float) else "")
        try:
            number = float(value)
        except OverflowError:
            raise self.wrong(given, path) from None
        if not (math.isfinite(number) and self._inside(number)):
            raise self.wrong(given, path)
        return self._made(number)

    def _inside(self, number: float) -> bool:
        return number == self.also or (
            (self.low is None or number >= self.low)
            and (self.high is None or number <= self.high)
            and (self.above is None or number > self.above)
            and (self.below is None or number < self.below)
        )

    def _made(self, number: float) -> float:
        return number

    def of_word(self, word: str) -> Any:
        try:
            return float(word)
        except ValueError:
            return word

    def schema(self) -> Schema:
        names = {"minimum": self.low, "maximum": self.high, "exclusiveMinimum": self.above}
        names["exclusiveMaximum"] = self.below
        bounds = {name: bound for name, bound in names.items() if bound is not None}
        plain = {"type": "number"} | bounds
        return plain if self.also is None else {"anyOf": [plain, {"const": self.also}]}


@dataclass(frozen=True)
class Whole(Number):
    """A whole number, of 32 bits as all of the vendor's."""

    low: float | None = -(2**31)
    high: float | None = 2**31 - 1
    word: str = "int"
    noun = "a whole number"

    @property
    def limits(self) -> str:
        low = self.low if self.low != Whole.low else None
        high = self.high if self.high != Whole.high else None
        return Number(low, high, also=self.also).limits

    def read(self, given: Marked, path: str) -> Any:
        if isinstance(given.value, float) and not given.value.is_integer():
            raise self.wrong(given, path)
        return super().read(given, path)

    def _made(self, number: float) -> int:
        return int(number)

    def of_word(self, word: str) -> Any:
        try:
            return int(word)
        except ValueError:
            return word

    def schema(self) -> Schema:
        plain = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return plain if self.also is None else {"anyOf": [plain, {"const": self.also}]}


@dataclass(frozen=True)
class Word(Takes):
    """One name of an enum; only: the ones that this field takes, all where none are named."""

    enum: Enum
    only: tuple[str, ...] = ()
    word: str = "enum"

    @property
    def names(self) -> tuple[str, ...]:
        return self.only or tuple(self.enum)

    @property
    def sentence(self) -> str:
        return " or ".join(filter(None, [", ".join(self.names[:-1]), self.names[-1]]))

    @property
    def _numbers(self) -> dict[int, str]:
        return {number: name for name in self.names if (number := self.enum[name]) is not None}

    def read(self, given: Marked, path: str) -> str:
        value = given.value
        if isinstance(value, int | float) and not isinstance(value, bool) and value in self._numbers:
            return self._numbers[int(value)]
        if not isinstance(value, str) or value not in self.names:
            raise self.wrong(given, path, meant(value, self.names) if isinstance(value, str) else "")
        return value

    def of_word(self, word: str) -> Any:
        return int(word) if word.isdecimal() else word

    def schema(self) -> Schema:
        return {"enum": [*self.names, *self._numbers]}


@dataclass(frozen=True)
class Many(Takes):
    """A list of one sort of item; a tuple once it is read."""

    item: Takes
    word: str = ""
    many = True

    @property
    def sentence(self) -> str:
        return f"a list, each item {self.item.sentence}"

    def read(self, given: Marked, path: str) -> tuple[Any, ...]:
        if not isinstance(given.value, list):
            raise self.wrong(given, path)
        return tuple(self.item.read(item, f"{path}[{index}]") for index, item in enumerate(given.value))

    def of_word(self, word: str) -> Any:
        return self.item.of_word(word)

    def schema(self) -> Schema:
        return {"type": "array", "items": self.item.schema()}


VALUE: Schema = {"type": ["number", "string", "boolean", "array"], "items": {"$ref": "#/$defs/Value"}}
"""what stands in a Dictionary, in the schema's "$defs" as Value"""


@dataclass(frozen=True)
class Dictionary(Takes):
    """A table of name -> number, text, true, false, or a list of these, under names that nobody declares."""

    word = "dictionary"
    sentence = "a table of name and value, each a number, a text, true, false or a list of these"

    def read(self, given: Marked, path: str) -> dict[str, Any]:
        if not isinstance(given.value, dict):
            raise self.wrong(given, path)
        return {name: self._value(item, f"{path}.{name}") for name, item in given.value.items()}

    def _value(self, given: Marked, path: str) -> Any:
        if isinstance(given.value, list):
            return [self._value(item, path) for item in given.value]
        if isinstance(given.value, float) and not math.isfinite(given.value):
            raise BadSettingError(path, "a finite number", given)
        if not isinstance(given.value, str | int | float):
            raise BadSettingError(path, "a number, a text, true, false or a list of these", given)
        return given.value

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": {"$ref": "#/$defs/Value"}}
