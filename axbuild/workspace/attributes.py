"""Attribute classes: a rule's declaration is its check, its help, its schema and its reference page.

An attribute turns a TOML value into a plain one (`parse`: strings, numbers, lists, tables only, so
that parsed packages can be cached), names the labels in it (`labels`) and, while actions are laid
out, turns the plain value into what the rule sees (`settle`: providers, artifacts, tuples).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from copy import copy
from typing import Any, ClassVar, Protocol, Self

from axbuild.workspace.artifact import Artifact

Schema = dict[str, Any]


class WrongValue(Exception):
    """A value that does not fit its attribute; the loader adds rule, attribute, file and line."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint


class Settler(Protocol):
    """What `settle` may ask for while a target is laid out."""

    def provider(self, label: str, types: tuple[type, ...]) -> Any: ...

    def sources(self, items: list[str], one_file: bool, companions: Companions | None) -> Artifact: ...


Companions = Callable[[Any, str], "list[str]"]
"""(disk, path of a file) -> paths of the files that belong to it, all relative to the workspace root."""


def closest(word: str, known: Iterable[str]) -> str:
    """What was probably meant, "" where nothing is close. Another number is another thing and no slip: AX620A is not
    AX650A."""
    import difflib  # for mistakes alone

    alike = {name.lower(): name for name in known if _digits(name) == _digits(word)}
    close = difflib.get_close_matches(word.lower(), list(alike), n=1)
    return alike[close[0]] if close else ""


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    close = closest(word, known)
    return f"did you mean '{close}'?" if close else ""


def shown(value: Any) -> str:
    """A value as it would be written in TOML, for messages and generated pages."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {shown(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return str(value)


class Attribute:
    """One setting of a rule.

    about: the sentence of the reference page. default: plain value where nothing is written; None with
    `required` false means "not given". vendor: path of the vendor's field, if it has one.
    example: the TOML value that BUILD.example.toml shows; the default where there is none.
    """

    expects: ClassVar[str] = "a value"
    empty: ClassVar[Any] = None
    """the default where the declaration names none"""

    def __init__(
        self, about: str, *, default: Any = None, required: bool = False, vendor: str = "", example: Any = None
    ) -> None:
        self.about = about
        self.required = required
        self.vendor = vendor
        self.example = example
        self.default = type(self).empty if default is None and not required else default

    def parse(self, value: Any, package: str | None) -> Any:
        """The plain value of a TOML value written in `package`; WrongValue where it does not fit."""
        raise NotImplementedError

    def labels(self, value: Any) -> Iterable[str]:
        """Canonical labels inside a plain value."""
        return ()

    def settle(self, value: Any, settler: Settler) -> Any:
        """What the rule sees for a plain value."""
        return value

    def schema(self) -> Schema:
        """JSON Schema of the TOML value."""
        raise NotImplementedError

    def optional(self) -> Self:
        """The same without a default: where nothing is written, the rule sees None."""
        other = copy(self)
        other.default, other.example = None, None
        return other

    @property
    def takes(self) -> str:
        """What the attribute takes, as in "takes <takes>, got 3"."""
        return self.expects

    def wrong(self, value: Any, hint: str = "") -> WrongValue:
        return WrongValue(f"takes {self.takes}, got {shown(value)}", hint)


class Scalar(Attribute):
    """A TOML value of one type."""

    types: ClassVar[tuple[type, ...]] = (str,)
    json_type: ClassVar[str] = "string"

    def parse(self, value: Any, package: str | None) -> Any:
        if not isinstance(value, self.types) or (isinstance(value, bool) and bool not in self.types):
            raise self.wrong(value)
        return value

    def schema(self) -> Schema:
        return {"type": self.json_type}


class String(Scalar):
    expects = "a string"
    empty = ""


class Bool(Scalar):
    expects = "true or false"
    types = (bool,)
    json_type = "boolean"
    empty = False


class Int(Scalar):
    """A whole number; `low` and `high` are the smallest and largest allowed."""

    expects = "a whole number"
    types = (int,)
    json_type = "integer"

    def __init__(self, about: str, *, low: int | None = None, high: int | None = None, **common: Any) -> None:
        super().__init__(about, **common)
        self.low, self.high = low, high

    def parse(self, value: Any, package: str | None) -> Any:
        number = super().parse(value, package)
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            raise self.wrong(value)
        return number

    @property
    def takes(self) -> str:
        return self.expects + _range(self.low, self.high)

    def schema(self) -> Schema:
        return {"type": "integer"} | _bounds(self.low, self.high)


class Float(Scalar):
    """A finite number; `low` and `high` are the smallest and largest allowed, `also` is one more."""

    expects = "a number"
    types = (int, float)
    json_type = "number"

    def __init__(
        self,
        about: str,
        *,
        low: float | None = None,
        high: float | None = None,
        also: float | None = None,
        **common: Any,
    ) -> None:
        super().__init__(about, **common)
        self.low, self.high, self.also = low, high, also
        # 0 and 0.0 are two texts in a key: whatever is written, a float it is.
        self.default = None if self.default is None else float(self.default)

    def parse(self, value: Any, package: str | None) -> Any:
        number = float(super().parse(value, package))
        if not abs(number) < float("inf"):
            raise self.wrong(value)
        if number == self.also:
            return number
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            raise self.wrong(value)
        return number

    @property
    def takes(self) -> str:
        said = self.expects + _range(self.low, self.high)
        return said if self.also is None else f"{said}, or {self.also:g}"

    def schema(self) -> Schema:
        bounded = {"type": "number"} | _bounds(self.low, self.high)
        return bounded if self.also is None else {"anyOf": [bounded, {"const": self.also}]}


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    return f" of at least {low}" if low is not None else f" of at most {high}" if high is not None else ""


def _bounds(low: float | None, high: float | None) -> Schema:
    return ({"minimum": low} if low is not None else {}) | ({"maximum": high} if high is not None else {})


class Choice(Scalar):
    """One word out of a list."""

    def __init__(self, about: str, choices: tuple[str, ...], **common: Any) -> None:
        super().__init__(about, **common)
        self.choices = choices

    @property
    def takes(self) -> str:
        words = [shown(choice) for choice in self.choices]
        return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]

    def parse(self, value: Any, package: str | None) -> Any:
        if value not in self.choices or not isinstance(value, str):
            raise self.wrong(value, did_you_mean(value, self.choices) if isinstance(value, str) else "")
        return value

    def schema(self) -> Schema:
        return {"enum": list(self.choices)}


class List(Attribute):
    """A TOML array of one sort of item; the rule sees a tuple."""

    empty: ClassVar[Any] = ()

    def __init__(self, about: str, item: Attribute, **common: Any) -> None:
        super().__init__(about, **common)
        self.item = item

    @property
    def takes(self) -> str:
        return f"a list, each item {self.item.takes}"

    def parse(self, value: Any, package: str | None) -> Any:
        if not isinstance(value, list | tuple):
            raise self.wrong(value)
        return [self.item.parse(item, package) for item in value]

    def labels(self, value: Any) -> Iterable[str]:
        return [label for item in value for label in self.item.labels(item)]

    def settle(self, value: Any, settler: Settler) -> Any:
        return tuple(self.item.settle(item, settler) for item in value)

    def schema(self) -> Schema:
        return {"type": "array", "items": self.item.schema()}


class Strings(List):
    def __init__(self, about: str, **common: Any) -> None:
        super().__init__(about, String(""), **common)


class Ints(List):
    def __init__(self, about: str, *, low: int | None = None, high: int | None = None, **common: Any) -> None:
        super().__init__(about, Int("", low=low, high=high), **common)


class Floats(List):
    def __init__(self, about: str, *, low: float | None = None, high: float | None = None, **common: Any) -> None:
        super().__init__(about, Float("", low=low, high=high), **common)


class Shapes(Attribute):
    """A table of input name -> list of positive dimensions; the rule sees dict[str, tuple[int, ...]]."""

    expects = "a table of input name = [dimensions], each dimension a whole number of at least 1"
    empty: ClassVar[Any] = {}

    def parse(self, value: Any, package: str | None) -> Any:
        if not isinstance(value, dict) or not all(self._is_shape(shape) for shape in value.values()):
            raise self.wrong(value)
        return {name: list(shape) for name, shape in value.items()}

    @staticmethod
    def _is_shape(shape: Any) -> bool:
        return isinstance(shape, list) and all(type(size) is int and size >= 1 for size in shape)

    def settle(self, value: Any, settler: Settler) -> Any:
        return {name: tuple(shape) for name, shape in value.items()}

    def schema(self) -> Schema:
        shape = {"type": "array", "items": {"type": "integer", "minimum": 1}}
        return {"type": "object", "additionalProperties": shape}


class Value(Attribute):
    """A number, true, false, or a list of these, nested as deep as a tensor's shape; text: or texts."""

    expects = "a number, true, false, or a list of these"

    def __init__(self, about: str, *, text: bool = False, **common: Any) -> None:
        super().__init__(about, **common)
        self.text = text

    @property
    def takes(self) -> str:
        return "a number, a text, true, false, or a list of these" if self.text else self.expects

    def parse(self, value: Any, package: str | None) -> Any:
        if not self.fits(value):
            raise self.wrong(value)
        return value

    def fits(self, value: Any) -> bool:
        if isinstance(value, list):
            return bool(value) and all(self.fits(item) for item in value)
        if isinstance(value, str):
            return self.text
        return isinstance(value, bool | int | float) and abs(value) < float("inf")

    def schema(self) -> Schema:
        return {"type": ["number", "boolean", "array", *(["string"] if self.text else [])]}


class Values(Attribute):
    """A table of name -> `Value`; text: these may be texts."""

    empty: ClassVar[Any] = {}

    def __init__(self, about: str, *, text: bool = False, **common: Any) -> None:
        super().__init__(about, **common)
        self.value = Value("", text=text)

    @property
    def takes(self) -> str:
        return f"a table of name = {self.value.takes}"

    def parse(self, value: Any, package: str | None) -> Any:
        if not isinstance(value, dict) or not all(self.value.fits(item) for item in value.values()):
            raise self.wrong(value)
        return dict(value)

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": self.value.schema()}


class NewNames(Attribute):
    """A table of old name -> new name."""

    expects = "a table of name = another name"
    empty: ClassVar[Any] = {}

    def parse(self, value: Any, package: str | None) -> Any:
        if not isinstance(value, dict) or not all(isinstance(item, str) and item for item in value.values()):
            raise self.wrong(value)
        return dict(value)

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": {"type": "string", "minLength": 1}}


def attributes_of(declaration: type) -> dict[str, Attribute]:
    """The attributes of a class by name: its own in order, then those of its bases."""
    found: dict[str, Attribute] = {}
    for one in declaration.__mro__:
        found |= {key: value for key, value in vars(one).items() if isinstance(value, Attribute) and key not in found}
    return found
