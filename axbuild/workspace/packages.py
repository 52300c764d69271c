"""BUILD.toml files -> targets: every table checked against its rule, every error with its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from axbuild.errors import AxError, Place
from axbuild.workspace.attributes import WrongValue, did_you_mean, shown
from axbuild.workspace.disk import BUILD_FILE, FILE, FOLDER, Disk, join
from axbuild.workspace.ignore import Ignore
from axbuild.workspace.label import BadLabel, canonical, is_name
from axbuild.workspace.package_cache import PackageCache, Row
from axbuild.workspace.references import Labels
from axbuild.workspace.rule import Rule
from axbuild.workspace.settings import FILE_NAME as SETTINGS_FILE
from axbuild.workspace.toml_text import InvalidToml, Path, TomlText, place_in, read_text


class UnknownRule(AxError):
    code = "AX105"

    def __init__(self, name: str, rules: Mapping[str, Rule], place: Place) -> None:
        super().__init__(f"there is no rule '{name}'", place=place, hint=did_you_mean(name, [*rules, "defaults"]))


class UnknownAttribute(AxError):
    code = "AX104"

    def __init__(self, rule: Rule, key: str, place: Place) -> None:
        hint = did_you_mean(key, [*rule.attributes, "name"]) if key != "name" else "each target has its own name"
        super().__init__(f"{rule.name} has no attribute '{key}'", place=place, hint=hint)


class WrongAttribute(AxError):
    code = "AX106"

    def __init__(self, name: str, error: WrongValue, place: Place) -> None:
        gap = "" if error.sentence.startswith("[") else " "
        super().__init__(f"{name}{gap}{error.sentence}", place=place, hint=error.hint)


class MissingAttribute(AxError):
    code = "AX107"

    def __init__(self, rule: Rule, key: str, about: str, place: Place) -> None:
        super().__init__(f"this {rule.name} lacks its attribute '{key}'", place=place, hint=about)


class DuplicateName(AxError):
    code = "AX108"

    def __init__(self, label: str, first: Place, place: Place) -> None:
        super().__init__(f"{label} is declared already, at {first}", place=place)


class NoPackage(AxError):
    code = "AX201"

    def __init__(self, package: str, known: list[str]) -> None:
        hint = did_you_mean(f"//{package}", [f"//{name}" for name in known if name])
        super().__init__(f"there is no package //{package}: {join(package, BUILD_FILE)} does not exist", hint=hint)


@dataclass(frozen=True, slots=True)
class Target:
    """One table of a BUILD file: plain values by attribute (own ones first, then defaults) and its labels."""

    label: str
    package: str
    rule: str
    index: int
    values: dict[str, Any]
    own: int
    labels: tuple[str, ...]

    def given(self) -> frozenset[str]:
        """The attributes that the table itself writes."""
        return frozenset(list(self.values)[: self.own])


class Packages:
    """The packages of a workspace by name (path from the root), parsed when first asked for."""

    def __init__(
        self,
        disk: Disk,
        ignore: Ignore,
        rules: Mapping[str, Rule],
        defaults: Mapping[str, dict[str, Any]],
        cache: PackageCache | None = None,
    ) -> None:
        self._disk = disk
        self.ignore = ignore
        self.rules = rules
        self._cache = cache
        self.parsed: dict[str, dict[str, Target]] = {}
        self.walked: dict[str, list[str]] = {}
        """folder of a pattern -> the packages found below it"""
        self._defaults = self._settings_defaults(defaults)

    def exists(self, package: str) -> bool:
        return self._disk.listing(package).get(BUILD_FILE) == FILE

    def below(self, folder: str) -> list[str]:
        """Names of the packages in and below a folder, sorted; not those of ignored folders or inner workspaces."""
        found, todo = [], [folder]
        while todo:
            here = todo.pop()
            listing = self._disk.listing(here)
            if here != folder and listing.get(SETTINGS_FILE) == FILE:
                continue
            if listing.get(BUILD_FILE) == FILE:
                found.append(here)
            for name, kind in listing.items():
                if kind == FOLDER and not self.ignore.folder(path := join(here, name)):
                    todo.append(path)
        self.walked[folder] = sorted(found)
        return self.walked[folder]

    def targets(self, package: str) -> dict[str, Target]:
        """The targets of a package by name, in the file's order of rules; NoPackage where it has no BUILD file."""
        known = self.parsed.get(package)
        if known is None:
            if not self.exists(package):
                raise NoPackage(package, self.below(""))
            known = self.parsed[package] = self._load(package)
        return known

    def save(self) -> None:
        """Keep what was parsed for the next build."""
        if self._cache:
            self._cache.save()

    def place(self, target: Target, attribute: str = "") -> Place:
        """Where a target's attribute is written: its own line, that of the default it took, or its header."""
        file = join(target.package, BUILD_FILE)
        text = read_text(self._disk, file)
        own: Path = (target.rule, target.index)
        if not attribute or attribute in target.given():
            return place_in(file, text, (*own, attribute) if attribute else own)
        if attribute in target.values:
            default = place_in(file, text, ("defaults", target.rule, attribute))
            if attribute in TomlText.of(file, text).data.get("defaults", {}).get(target.rule, {}):
                return default
            return place_in(SETTINGS_FILE, read_text(self._disk, SETTINGS_FILE), ("defaults", target.rule, attribute))
        return place_in(file, text, own)

    def _load(self, package: str) -> dict[str, Target]:
        file = join(package, BUILD_FILE)
        raw = self._disk.read(file)
        rows = self._cache.get(package, raw) if self._cache else None
        if rows is None:
            rows = self._parse(package, TomlText.of(file, read_text(self._disk, file)))
            if self._cache:
                self._cache.put(package, raw, rows)
        return {
            name: Target(f"//{package}:{name}", package, rule, index, values, own, tuple(labels))
            for rule, index, name, values, own, labels in rows
        }

    def _parse(self, package: str, text: TomlText) -> list[Row]:
        _check_package_name(package, text.file)
        defaults = self._file_defaults(package, text)
        rows: list[Row] = []
        seen: dict[str, Path] = {}
        for rule_name, tables in text.data.items():
            if rule_name == "defaults":
                continue
            rule = self.rules.get(rule_name)
            if rule is None:
                raise UnknownRule(rule_name, self.rules, text.place((rule_name,)))
            if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
                place = text.place((rule_name,))
                raise InvalidToml(f"a target is declared by a [[{rule_name}]] header of its own", place)
            for index, table in enumerate(tables):
                row = self._row(package, text, rule, index, table, defaults.get(rule_name, {}))
                if row[2] in seen:
                    first = text.place(seen[row[2]])
                    raise DuplicateName(f"//{package}:{row[2]}", first, text.place((rule_name, index, "name")))
                seen[row[2]] = (rule_name, index, "name")
                rows.append(row)
        for row in rows:
            self._name_the_rest(package, row, rows)
        return rows

    def _name_the_rest(self, package: str, row: Row, rows: list[Row]) -> None:
        """Where an empty list stands for the package's targets of a kind, put their labels there."""
        for key, attribute in self.rules[row[0]].attributes.items():
            if isinstance(attribute, Labels) and attribute.rest_of_package and not row[3].get(key):
                row[3][key] = [
                    f"//{package}:{other[2]}"
                    for other in rows
                    if self.rules[other[0]].gives is attribute.rest_of_package and other is not row
                ]
                row[5].extend(label for label in row[3][key] if label not in row[5])

    def _row(
        self, package: str, text: TomlText, rule: Rule, index: int, table: dict[str, Any], defaults: dict[str, Any]
    ) -> Row:
        where: Path = (rule.name, index)
        name = table.get("name")
        if name is None:
            raise MissingAttribute(rule, "name", "the target's name: its label is //package:name", text.place(where))
        if not isinstance(name, str) or not is_name(name):
            wrong = WrongValue(f"takes letters, digits and _ . + -, got {shown(name)}")
            raise WrongAttribute("name", wrong, text.place((*where, "name")))
        values = _parse_table(rule, {key: item for key, item in table.items() if key != "name"}, package, text, where)
        own = len(values)
        values |= {key: item for key, item in defaults.items() if key not in values}
        labels: dict[str, None] = {}
        for key, attribute in rule.attributes.items():
            if key in values:
                labels.update(dict.fromkeys(attribute.labels(values[key])))
            elif attribute.required:
                raise MissingAttribute(rule, key, attribute.about, text.place(where))
        return [rule.name, index, name, values, own, list(labels)]

    def _file_defaults(self, package: str, text: TomlText) -> dict[str, dict[str, Any]]:
        found = _parse_defaults(self.rules, text, text.data.get("defaults", {}), package)
        names = self._defaults.keys() | found.keys()
        return {name: self._defaults.get(name, {}) | found.get(name, {}) for name in names}

    def _settings_defaults(self, defaults: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        if not defaults:
            return {}
        return _parse_defaults(self.rules, TomlText.read(self._disk, SETTINGS_FILE), dict(defaults), None)


def _check_package_name(package: str, file: str) -> None:
    if package:
        try:
            canonical(f"//{package}", None)
        except BadLabel as error:
            error.place = Place(file)
            raise


def _parse_defaults(
    rules: Mapping[str, Rule], text: TomlText, defaults: Any, package: str | None
) -> dict[str, dict[str, Any]]:
    found = {}
    for name, table in defaults.items() if isinstance(defaults, dict) else ():
        if name not in rules:
            raise UnknownRule(name, rules, text.place(("defaults", name)))
        if not isinstance(table, dict):
            raise InvalidToml(f"defaults stand in a table [defaults.{name}]", text.place(("defaults", name)))
        found[name] = _parse_table(rules[name], table, package, text, ("defaults", name))
    return found


def _parse_table(rule: Rule, table: dict[str, Any], package: str | None, text: TomlText, where: Path) -> dict[str, Any]:
    values = {}
    for key, item in table.items():
        attribute = rule.attributes.get(key)
        if attribute is None:
            raise UnknownAttribute(rule, key, text.place((*where, key)))
        try:
            values[key] = attribute.parse(item, package)
        except WrongValue as error:
            raise WrongAttribute(key, error, text.place((*where, key))) from None
        except BadLabel as error:
            error.place = text.place((*where, key))
            raise
    return values
