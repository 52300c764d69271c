"""A message of the vendor's configuration on its way into tables: each field that is set is taken once, or refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from axbuild.errors import AxError, Place
from axbuild.toolchain.pulsar2.message import Message, settings_of


class UnmappedFieldError(AxError):
    """A setting that no target has."""

    code = "AX530"

    def __init__(self, field: str, reason: str, place: Place | None) -> None:
        super().__init__(f"{field} {reason}", place=place)


class PlacedTable(dict[str, Any]):
    """Attributes of a target with where they are set, in the configuration's file or by a flag; what joins two such
    tables joins their places.

    places: attribute, or one within it as "sub_configs[1].check", "" for the whole -> place.
    """

    def __init__(self, values: Mapping[str, Any], places: Mapping[str, Place]) -> None:
        super().__init__(values)
        self.places = dict(places)

    @property
    def lines(self) -> dict[str, int]:
        """The lines of those that stand in a file, as BuildTable has them."""
        return {name: place.line for name, place in self.places.items() if place.line}

    def __or__(self, other: Mapping[str, Any]) -> PlacedTable:  # type: ignore[override]  # dict's joins any keys
        return PlacedTable({**self, **other}, self.places | getattr(other, "places", {}))

    def __ror__(self, other: Mapping[str, Any]) -> PlacedTable:  # type: ignore[override]  # dict's joins any keys
        return PlacedTable({**other, **self}, getattr(other, "places", {}) | self.places)

    def __ior__(self, other: Any) -> PlacedTable:  # type: ignore[override, misc]  # as above
        self.places |= getattr(other, "places", {})
        self.update(other)
        return self

    def put(self, attribute: str, entries: Sequence[Mapping[str, Any]]) -> None:
        """An attribute that is a list of tables."""
        self[attribute] = entries
        for number, entry in enumerate(entries):
            for name, place in getattr(entry, "places", {}).items():
                self.places[f"{attribute}[{number}]" + (f".{name}" if name else "")] = place


class MappedFields:
    """The set fields of a message; path: what it is called in the whole configuration, "" for the root."""

    def __init__(self, message: Message, path: str = "") -> None:
        self.message, self.path = message, path
        self._left = {name: value for name, _, value in message.given() if not isinstance(value, Message)}

    def take(self, name: str) -> Any:
        """A field's value, as TOML has it; None where it is unset, or says nothing: an empty text, list or table."""
        value = self._left.pop(name, None)
        return None if value in ("", (), {}) else _plain(value)

    def value(self, name: str) -> Any:
        """What a field amounts to: what it is set to, else the vendor's default. It stays to be taken."""
        own = getattr(self.message, name)
        return settings_of(type(self.message))[name].default if own is None else own

    def copy(self, *names: str, **renamed: str) -> PlacedTable:
        """The set fields of these names, in their order; renamed: an attribute's name -> the field's."""
        wanted = {name: name for name in names} | renamed
        taken = {attribute: self.take(field) for attribute, field in wanted.items()}
        found = {attribute: value for attribute, value in taken.items() if value is not None}
        return PlacedTable(found, self.places(**{attribute: wanted[attribute] for attribute in found}))

    def places(self, **fields: str) -> dict[str, Place]:
        """Where fields are set, by the names given for them, and "" for the message."""
        found = {name: self.message.places.get(field) for name, field in {"": "", **fields}.items()}
        return {name: place for name, place in found.items() if place is not None}

    def without_effect(self, names: Iterable[str]) -> None:
        """Leave fields out that the vendor reads only where another one is set otherwise."""
        for name in names:
            self._left.pop(name, None)

    def refusal(self, name: str, reason: str) -> UnmappedFieldError:
        field = f"{self.path}.{name}" if self.path else name
        return UnmappedFieldError(field, reason, self.message.places.get(name))

    def finish(self, reasons: Mapping[str, str]) -> None:
        """Refuse what is set and was not taken. reasons: field -> why there is nothing that it could stand for."""
        for name, value in self._left.items():
            if value not in ("", (), {}, False, 0, settings_of(type(self.message))[name].default):
                raise self.refusal(name, reasons.get(name, "has no counterpart in a target"))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value
