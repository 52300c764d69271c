"""Attributes that lead to other targets, to files, or to tables with attributes of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from axbuild.workspace.address import the_address
from axbuild.workspace.attributes import (
    Attribute,
    Companions,
    Schema,
    Settler,
    WrongValue,
    attributes_of,
    did_you_mean,
)
from axbuild.workspace.label import canonical

DEFAULT = "DEFAULT"
"""the key of a map that serves every input without a key of its own"""


class Label(Attribute):
    """A label of a target; the rule sees that target's provider, which must be one of `provides`."""

    expects = "a label"

    def __init__(self, about: str, *, provides: type | tuple[type, ...] = (), **common: Any) -> None:
        super().__init__(about, **common)
        self.provides = provides if isinstance(provides, tuple) else (provides,)

    def parse(self, value: Any, package: str | None) -> Any:
        if not isinstance(value, str):
            raise self.wrong(value)
        return canonical(value, package)

    def labels(self, value: Any) -> Iterable[str]:
        return () if value is None else (value,)

    def settle(self, value: Any, settler: Settler) -> Any:
        return None if value is None else settler.provider(value, self.provides)

    def schema(self) -> Schema:
        return {"type": "string", "pattern": "^(//|:)"}


class Labels(Attribute):
    """A list of labels; the rule sees a tuple of providers.

    rest_of_package: an empty list stands for all targets of the package whose rules give this.
    """

    expects = "a list of labels"
    empty: ClassVar[Any] = ()

    def __init__(
        self,
        about: str,
        *,
        provides: type | tuple[type, ...] = (),
        rest_of_package: type | None = None,
        **common: Any,
    ) -> None:
        super().__init__(about, **common)
        self.provides = provides if isinstance(provides, tuple) else (provides,)
        self.rest_of_package = rest_of_package

    def parse(self, value: Any, package: str | None) -> Any:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(value)
        found = [canonical(item, package) for item in value]
        if len(set(found)) < len(found):
            raise WrongValue("names a target twice", "keep each label once")
        return found

    def labels(self, value: Any) -> Iterable[str]:
        return tuple(value)

    def settle(self, value: Any, settler: Settler) -> Any:
        return tuple(settler.provider(label, self.provides) for label in value)

    def schema(self) -> Schema:
        return {"type": "array", "items": {"type": "string", "pattern": "^(//|:)"}}


class LabelMap(Attribute):
    """A label, or a table of key -> label; the rule sees dict[key, provider], a bare label under "DEFAULT"."""

    expects = "a label or a table of name = label"

    def __init__(self, about: str, *, provides: type | tuple[type, ...] = (), **common: Any) -> None:
        super().__init__(about, **common)
        self.provides = provides if isinstance(provides, tuple) else (provides,)

    def parse(self, value: Any, package: str | None) -> Any:
        entries = {DEFAULT: value} if isinstance(value, str) else value
        if not isinstance(entries, dict) or not entries or not all(isinstance(item, str) for item in entries.values()):
            raise self.wrong(value)
        return {key: canonical(item, package) for key, item in entries.items()}

    def labels(self, value: Any) -> Iterable[str]:
        return tuple((value or {}).values())

    def settle(self, value: Any, settler: Settler) -> Any:
        return {key: settler.provider(label, self.provides) for key, label in (value or {}).items()}

    def schema(self) -> Schema:
        label = {"type": "string", "pattern": "^(//|:)"}
        return {"anyOf": [label, {"type": "object", "additionalProperties": label, "minProperties": 1}]}


class Source(Attribute):
    """Files of the package: a path of a file or folder, a glob, a list of them, or a label of plain files.

    The rule sees an artifact: one file as a single file, everything else as a tree; None when not given.
    companions: finds the files that belong to each file named (the result is then a tree).
    remote: it may be an address as well, which the rule sees as a `Remote` to be pinned.
    """

    expects = "a path, a glob, a list of them, or a label"
    single = "a path or a label"

    def __init__(
        self,
        about: str,
        *,
        one_file: bool = False,
        companions: Companions | None = None,
        remote: bool = False,
        **common: Any,
    ) -> None:
        super().__init__(about, **common)
        self.one_file = one_file
        self.companions = companions
        self.remote = remote

    @property
    def takes(self) -> str:
        return self.single if self.one_file else self.expects

    def parse(self, value: Any, package: str | None) -> Any:
        items = value if isinstance(value, list) and not self.one_file else [value]
        if not items or not all(isinstance(item, str) and item for item in items):
            raise self.wrong(value)
        return [canonical(item, package) if item.startswith(("//", ":")) else item for item in items]

    def labels(self, value: Any) -> Iterable[str]:
        return tuple(item for item in value or () if item.startswith("//"))

    def settle(self, value: Any, settler: Settler) -> Any:
        if self.remote and value and (address := the_address(value)):
            return address
        return settler.sources(value, self.one_file, self.companions) if value else None

    def schema(self) -> Schema:
        text = {"type": "string", "minLength": 1}
        return text if self.one_file else {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}


class TextFile(Attribute):
    """A file of the package whose text the package is made from: it is read while the package loads, so that a build
    watches it as it does BUILD.toml. The rule sees its path."""

    expects = "a path"

    def parse(self, value: Any, package: str | None) -> Any:
        if not isinstance(value, str) or not value:
            raise self.wrong(value)
        return value

    def schema(self) -> Schema:
        return {"type": "string", "minLength": 1}


class Record:
    """One settled table of a `Records` attribute: a value for each field, by name."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(name) from None

    def as_dict(self) -> dict[str, Any]:
        return dict(self._values)


class OneRecord(Attribute):
    """A table whose fields are the attributes of the class `of`; the rule sees a `Record`, or None for an empty one."""

    expects = "a table"
    empty: ClassVar[Any] = {}

    def __init__(self, about: str, of: type, **common: Any) -> None:
        super().__init__(about, **common)
        self.fields = attributes_of(of)
        self.summary = " ".join((of.__doc__ or "").split())

    def parse(self, value: Any, package: str | None) -> Any:
        if not isinstance(value, dict):
            raise self.wrong(value)
        return self._parse("", value, package)

    def _parse(self, place: str, table: dict[str, Any], package: str | None) -> dict[str, Any]:
        """place: of the table among others."""
        lead = f"{place} " if place else ""
        for key in table:
            if key not in self.fields:
                raise WrongValue(f"{lead}has no field '{key}'", did_you_mean(key, self.fields))
        for name, field in self.fields.items():
            if field.required and name not in table:
                raise WrongValue(f"{lead}lacks its field '{name}'", field.about)
        parsed = {}
        for key, item in table.items():
            try:
                parsed[key] = self.fields[key].parse(item, package)
            except WrongValue as error:
                raise WrongValue(f"{place}.{key} {error.sentence}", error.hint) from None
        return parsed

    def labels(self, value: Any) -> Iterable[str]:
        return [label for key, field in value.items() for label in self.fields[key].labels(field)]

    def settle(self, value: Any, settler: Settler) -> Any:
        return self._settle(value, settler) if value else None

    def _settle(self, table: dict[str, Any], settler: Settler) -> Record:
        written = {name: table.get(name, field.default) for name, field in self.fields.items()}
        settled = {
            name: self.fields[name].settle(value, settler) for name, value in written.items() if value is not None
        }
        return Record(dict.fromkeys(self.fields) | settled)

    def schema(self) -> Schema:
        required = [name for name, field in self.fields.items() if field.required]
        properties = {name: field.schema() | {"description": field.about} for name, field in self.fields.items()}
        table: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        return table | ({"required": required} if required else {})


class Records(OneRecord):
    """A list of tables whose fields are the attributes of the class `of`; the rule sees a tuple of `Record`."""

    expects = "a list of tables"
    empty: ClassVar[Any] = ()

    def parse(self, value: Any, package: str | None) -> Any:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.wrong(value)
        return [self._parse(f"[{index}]", item, package) for index, item in enumerate(value)]

    def labels(self, value: Any) -> Iterable[str]:
        return [label for item in value for label in super(Records, self).labels(item)]

    def settle(self, value: Any, settler: Settler) -> Any:
        return tuple(self._settle(item, settler) for item in value)

    def schema(self) -> Schema:
        return {"type": "array", "items": super().schema()}
