"""Messages of the vendor's configuration: dataclasses whose fields say what they take, mean and default to.

From one declaration a field come the readers, the flags, the JSON Schema, the defaults, the writer and the page of all
fields. A field that nothing sets is None, which no default is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from axbuild.errors import AxError, Place
from axbuild.toolchain.pulsar2.marked import Marked, shortened
from axbuild.toolchain.pulsar2.takes import BadSettingError, Many, Schema, Takes

M = TypeVar("M", bound="Message")


@dataclass(frozen=True)
class Setting:
    """What stands behind a field. number: the vendor's; default: the vendor's, None where there is none; otherwise: in
    words, what an unset field means where no value says it; flag: it may be set on the command line."""

    takes: Takes
    number: int
    about: str
    default: Any = None
    otherwise: str = ""
    flag: bool = False
    required: bool = False


def setting(takes: Takes, number: int, about: str, **more: Any) -> Any:
    """A field of a message; its value is None, or an empty message, until something sets it."""
    said = {"setting": Setting(takes, number, about, **more)}
    if isinstance(takes, Nested):
        return dataclasses.field(default_factory=takes.message, metadata=said)
    return dataclasses.field(default=None, metadata=said)


@dataclass(frozen=True, kw_only=True)
class Message:
    """Base of all messages.

    places: field -> where it is set, in a file or by a flag, "" -> the message itself; no part of what is compared.
    fills: whether defaults stand in for what is not set.
    """

    fills: ClassVar[bool] = True
    places: Mapping[str, Place] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    def given(self) -> Iterator[tuple[str, Setting, Any]]:
        """(name, declaration, value) of each field that is set; of a message inside, where anything in it is."""
        for name, declared in settings_of(type(self)).items():
            value = getattr(self, name)
            if value is not None and not (isinstance(declared.takes, Nested) and not any(value.given())):
                yield name, declared, value


def settings_of(message: type[Message]) -> Mapping[str, Setting]:
    """The declared fields of a message by name, in order."""
    known = dataclasses.fields(message)
    return {field.name: field.metadata["setting"] for field in known if "setting" in field.metadata}


class UnknownFieldError(AxError):
    """A name that its message has no field for."""

    code = "AX521"

    def __init__(self, name: str, place: Place | None, message: type[Message], path: str) -> None:
        super().__init__(f"{path or 'a configuration'} has no field '{shortened(name)}'", place=place)
        self.name, self.message = name, message


class MissingSettingError(AxError):
    """A required field that nothing sets."""

    code = "AX525"


@dataclass(frozen=True)
class Nested(Takes):
    """A message inside a message."""

    message: type[Message]
    word = "message"
    sentence = "a table of fields"

    def read(self, given: Marked, path: str) -> Message:
        return read_message(self.message, given, path)

    def schema(self) -> Schema:
        return {"$ref": f"#/$defs/{self.message.__name__}"}


def read_message(message: type[M], given: Marked, path: str = "") -> M:
    """A table as the message; raises UnknownFieldError, BadSettingError, MissingSettingError.

    What a whole configuration requires may come from its flags and is asked for later.
    """
    if not isinstance(given.value, dict):
        raise BadSettingError(path or "a configuration", Nested.sentence, given)
    known, values = settings_of(message), {}
    for name, item in given.value.items():
        if name not in known:
            raise UnknownFieldError(name, given.keys.get(name), message, path)
        values[name] = known[name].takes.read(item, f"{path}.{name}".lstrip("."))
    if missing := [name for name, declared in known.items() if declared.required and path and name not in values]:
        raise MissingSettingError(f"{path} needs '{missing[0]}'", place=given.place)
    return message(**values, places=given.keys if given.place is None else {"": given.place, **given.keys})


def message_in(takes: Takes) -> type[Message] | None:
    """The message that a field holds, one or a list of them."""
    inner = takes.item if isinstance(takes, Many) else takes
    return inner.message if isinstance(inner, Nested) else None
