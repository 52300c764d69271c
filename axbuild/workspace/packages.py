"""BUILD.toml files -> targets: every table checked against its rule, every error with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from axbuild.dataclass import dataclass, field
from axbuild.errors import AxError, Place
from axbuild.workspace.attributes import WrongValue, did_you_mean, shown
from axbuild.workspace.disk import BUILD_FILE, FILE, FOLDER, LINKED_FOLDER, Disk, join
from axbuild.workspace.expansion import Texts, Told, expand, field_place, found_text, line_of, mention
from axbuild.workspace.ignore import Ignore
from axbuild.workspace.label import BadLabel, canonical, is_name
from axbuild.workspace.package_cache import KeptPackage, PackageCache, Row
from axbuild.workspace.references import Labels
from axbuild.workspace.rule import Rule
from axbuild.workspace.settings import FILE_NAME as SETTINGS_FILE
from axbuild.workspace.settled import Settled
from axbuild.workspace.sources import check_link
from axbuild.workspace.toml_text import InvalidToml, Path, TomlText, place_at, place_in, read_text


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
        gap = "" if error.sentence.startswith(("[", ".")) else " "
        super().__init__(f"{name}{gap}{error.sentence}", place=place, hint=error.hint)


class MissingAttribute(AxError):
    code = "AX107"

    def __init__(self, rule: Rule, key: str, about: str, place: Place) -> None:
        super().__init__(f"this {rule.name} lacks its attribute '{key}'", place=place, hint=about)


class DuplicateName(AxError):
    code = "AX108"

    def __init__(self, label: str, first: Place, place: Place) -> None:
        super().__init__(f"{label} is declared already, at {first}", place=place)


class Mistakes(AxError):
    """Several mistakes found in one look, the most useful first; the code is the first one's."""

    def __init__(self, errors: tuple[AxError, ...]) -> None:
        first = errors[0]
        super().__init__(first.sentence, place=first.place, hint=first.hint, code=first.code)
        self.errors = errors

    def __str__(self) -> str:
        return "\n".join(map(str, self.errors))


def raise_all(errors: Iterable[AxError]) -> None:
    """Nothing where there is none, the mistake itself where there is one."""
    if found := tuple(errors):
        raise found[0] if len(found) == 1 else Mistakes(found)


class NoPackage(AxError):
    code = "AX201"

    def __init__(self, package: str, known: list[str]) -> None:
        hint = did_you_mean(f"//{package}", [f"//{name}" for name in known if name])
        super().__init__(f"there is no package //{package}: {join(package, BUILD_FILE)} does not exist", hint=hint)


Header = tuple[str, int, str, dict[str, int]]
"""the rule that a table is written under, its number among those, the path of the file that the target was made of (""
where the table is the target's own), and the lines there, as far as its rule told them (see `BuildTable`)"""


@dataclass(frozen=True)
class Target:
    """One table of a BUILD file: plain values by attribute (own ones first, then defaults) and its labels.

    header: see `Header`. warnings: code and sentence of what is told of the file it was made of, when it is needed."""

    label: str
    package: str
    rule: str
    header: Header
    values: dict[str, Any]
    own: int
    labels: tuple[str, ...]
    warnings: tuple[tuple[str, str], ...] = ()

    def given(self) -> frozenset[str]:
        """The attributes that the table itself writes."""
        return frozenset(list(self.values)[: self.own])


@dataclass(frozen=True)
class Package:
    """What a BUILD file declares: targets by name, in the file's order of rules.

    faults: its mistakes. broken: names of targets that have one -> its place in `faults`. whole: whether the name of
    every target is known. texts: paths of the files that tables were made from.
    """

    targets: dict[str, Target]
    faults: tuple[AxError, ...] = ()
    broken: dict[str, int] = field(default_factory=dict)
    whole: bool = True
    texts: tuple[str, ...] = ()


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
        self.parsed: dict[str, Package] = {}
        self.walked: dict[str, list[str]] = {}
        """folder of a pattern -> the packages found below it"""
        self._defaults = self._settings_defaults(defaults)

    def exists(self, package: str) -> bool:
        return self._disk.listing(package).get(BUILD_FILE) == FILE

    def below(self, folder: str) -> list[str]:
        """Names of the packages in and below a folder, sorted; not those of ignored folders or inner workspaces.

        A linked folder counts where it leads out of the workspace, each once: what lies inside has its own name.
        """
        found, todo = [], [folder]
        links: list[str] = []
        walked: list[str] = []
        while todo or links:
            if not todo:
                todo += self._outside(links.pop(0), walked)
                continue
            here = todo.pop()
            listing = self._disk.listing(here)
            if here != folder and listing.get(SETTINGS_FILE) == FILE:
                continue
            if listing.get(BUILD_FILE) == FILE:
                found.append(here)
            for name, kind in listing.items():
                if kind in (FOLDER, LINKED_FOLDER) and not self.ignore.folder(path := join(here, name)):
                    (todo if kind == FOLDER else links).append(path)
            links.sort()
        self.walked[folder] = sorted(found)
        return self.walked[folder]

    def _outside(self, link: str, walked: list[str]) -> list[str]:
        """The link, where packages behind it have no other name so far; walked: the folders behind earlier ones."""
        self._disk.listing(link)  # so that it is watched, wherever it leads to
        target = self._disk.real(link)
        if not target.startswith("/") or any(f"{target}/".startswith(f"{other}/") for other in walked):
            return []
        check_link(self._disk, self.ignore, link, walked)
        walked.append(target)
        return [link]

    def targets(self, package: str) -> dict[str, Target]:
        """The targets of a package by name, in the file's order of rules; NoPackage where it has no BUILD file."""
        found = self.read(package)
        raise_all(found.faults)
        return found.targets

    def read(self, package: str) -> Package:
        """A package with the mistakes in its BUILD file; NoPackage where there is none."""
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
        """Where a target's attribute, or a place in it such as `sub_configs[1].check`, is written: its own line, that
        of the default it took, or its header; in the text that it was made of, where that says it."""
        file = join(target.package, BUILD_FILE)
        text = read_text(self._disk, file)
        own: Path = target.header[:2]
        whole, attribute = attribute, attribute.partition("[")[0]
        if target.header[2] and attribute in target.given():
            rule, build = self.rules[target.rule], TomlText.of(file, text)
            if made := place_in_text(build, self._disk, rule, target.header, whole):
                return made
        if not attribute or attribute in target.given():
            return place_in(file, text, (*own, attribute) if attribute else own)
        if attribute in target.values:
            default = place_in(file, text, ("defaults", target.rule, attribute))
            if attribute in TomlText.of(file, text).data.get("defaults", {}).get(target.rule, {}):
                return default
            return place_in(SETTINGS_FILE, read_text(self._disk, SETTINGS_FILE), ("defaults", target.rule, attribute))
        return place_in(file, text, own)

    def _load(self, package: str) -> Package:
        file = join(package, BUILD_FILE)
        try:
            raw = self._disk.read(file)
            kept = self._cache.get(package, raw, self._disk) if self._cache else None
            if kept is not None:
                return Package(_targets(package, kept.rows, kept.told), texts=tuple(kept.texts))
            _check_package_name(package, file)
            reader = self._parse(package, TomlText.of(file, read_text(self._disk, file)))
        except AxError as error:
            return Package({}, (error,), whole=False)
        if self._cache and not reader.faults:
            self._cache.put(package, raw, KeptPackage(reader.rows, reader.texts.seen, reader.told))
        found, texts = _targets(package, reader.rows, reader.told), tuple(reader.texts.seen)
        return Package(found, tuple(reader.faults), reader.broken, reader.whole, texts)

    def _parse(self, package: str, text: TomlText) -> _Reader:
        reader = _Reader(self.rules, Texts(self._disk, self.ignore, package), text, self._defaults)
        reader.read()
        return reader

    def _settings_defaults(self, defaults: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        if not defaults:
            return {}
        found, faults = _parse_defaults(self.rules, TomlText.read(self._disk, SETTINGS_FILE), dict(defaults), None)
        raise_all(fault for _, fault in faults)
        return found


def _targets(package: str, rows: list[Row], told: Mapping[str, Told]) -> dict[str, Target]:
    """told: name of a target -> what is told with it."""
    said = {name: tuple((code, sentence) for code, sentence in found) for name, found in told.items()}
    return {
        name: Target(
            f"//{package}:{name}", package, rule, tuple(header), values, own, tuple(labels), said.get(name, ())
        )
        for rule, header, name, values, own, labels in rows
    }


def place_in_text(build: TomlText, disk: Disk, rule: Rule, header: Header, attribute: str) -> Place | None:
    """Where the text that a target was made from says its attribute, or a place in it; None where the BUILD file does,
    or nobody."""
    made_by, index, path, lines = header
    name = attribute.partition("[")[0]
    known = rule.attributes.get(name)
    if not path or known is None or name in build.data[made_by][index]:
        return None
    text = read_text(disk, path)
    if lines:
        line = line_of(lines, attribute)
        return place_at(path, text, line) if line else None
    return field_place(path, text, known.vendor)


class _Reader:
    """The tables of one BUILD file -> rows. Goes on behind a mistake, so that one look tells of all.

    texts: how files beside it are read. settings: the defaults of axbuild.toml, by rule.
    """

    def __init__(
        self, rules: Mapping[str, Rule], texts: Texts, text: TomlText, settings: Mapping[str, dict[str, Any]]
    ) -> None:
        self._rules, self._package, self._text = rules, texts.package, text
        self.texts = texts
        self.rows: list[Row] = []
        self.told: dict[str, Told] = {}
        self.faults: list[AxError] = []
        self.broken: dict[str, int] = {}
        self.whole = True
        found, faults = _parse_defaults(rules, text, text.data.get("defaults", {}), texts.package)
        self._defaults = {name: settings.get(name, {}) | found.get(name, {}) for name in settings.keys() | found.keys()}
        self._doubtful = {name: number for number, (name, _) in enumerate(faults)}
        self.faults += [fault for _, fault in faults]

    def read(self) -> None:
        seen: dict[str, Path] = {}
        for rule_name, tables in self._text.data.items():
            if rule_name == "defaults":
                continue
            if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
                place = self._text.place((rule_name,))
                self.whole = False
                self.faults.append(InvalidToml(f"a target is declared by a [[{rule_name}]] header of its own", place))
            elif (rule := self._rules.get(rule_name)) is None:
                names = [name for table in tables if isinstance(name := table.get("name"), str)]
                self.broken |= dict.fromkeys(names, len(self.faults))
                self.faults.append(UnknownRule(rule_name, self._rules, self._text.place((rule_name,))))
            else:
                for index, table in enumerate(tables):
                    self._table(rule, (rule_name, index, "", {}), table, seen)
        self.rows = [row for row in self.rows if row[2] not in self.broken]
        for row in self.rows:
            self._name_the_rest(row)

    def _table(self, rule: Rule, header: Header, table: dict[str, Any], seen: dict[str, Path]) -> None:
        where: Path = header[:2]
        name = self._name(rule, table, where)
        row, faults = self._row(rule, header, table)
        if rule.expansion and name is not None and not faults:
            return self._made(rule, header, name, row, seen)
        if name is not None and name in seen:
            first = self._text.place(seen[name])
            faults.append(DuplicateName(f"//{self._package}:{name}", first, self._text.place((*where, "name"))))
        if name is not None:
            seen.setdefault(name, (*where, "name"))
            if faults or rule.name in self._doubtful:
                self.broken.setdefault(name, len(self.faults) if faults else self._doubtful[rule.name])
            self.rows.append([rule.name, header, name, *row])
        self.whole = self.whole and not (rule.expansion and faults)
        self.faults += faults
        return None

    def _made(self, rule: Rule, header: Header, name: str, row: Row, seen: dict[str, Path]) -> None:
        """The tables that one of them stands for."""
        values, own, _ = row
        label = f"//{self._package}:{name}"
        place = partial(self._place, rule, header)
        try:
            assert rule.expansion is not None
            path, text = found_text(rule, values, self.texts, place(rule.expansion.text))
            plain = {key: attribute.default for key, attribute in rule.attributes.items()} | values
            plain[rule.expansion.text] = path
            t = Settled(label, plain, values, frozenset(list(values)[:own]), lambda key: place(key) if key else place())
            tables, told = expand(rule, t, text, place())
        except AxError as error:
            self.whole = False
            self.broken.setdefault(name, len(self.faults))
            self.faults.append(error)
            return
        if told and tables:
            self.told[tables[0][1]["name"]] = told
        for made, attributes in tables:
            lines: dict[str, int] = getattr(attributes, "lines", {})
            self._table(self._rules[made], (*header[:2], path, lines), attributes, seen)

    def _name(self, rule: Rule, table: dict[str, Any], where: Path) -> str | None:
        name = table.get("name")
        if isinstance(name, str) and is_name(name):
            return name
        self.whole = False
        if name is None:
            about = "the target's name: its label is //package:name"
            self.faults.append(MissingAttribute(rule, "name", about, self._text.place(where)))
        else:
            wrong = WrongValue(f"takes letters, digits and _ . + -, got {shown(name)}")
            self.faults.append(WrongAttribute("name", wrong, self._text.place((*where, "name"))))
        return None

    def _row(self, rule: Rule, header: Header, table: dict[str, Any]) -> tuple[Row, list[AxError]]:
        """What follows a row's name: values, number of own ones, labels; and what is wrong with them."""
        own = {key: item for key, item in table.items() if key != "name"}
        place = partial(self._place, rule, header)
        values, faults = _parse_table(rule, own, self._package, place)
        count = len(values)
        values |= {key: item for key, item in self._defaults.get(rule.name, {}).items() if key not in table}
        misspelt = {fault.hint for fault in faults if isinstance(fault, UnknownAttribute)}
        labels: dict[str, None] = {}
        for key, attribute in rule.attributes.items():
            if key in values:
                labels.update(dict.fromkeys(attribute.labels(values[key])))
            elif attribute.required and key not in table and f"did you mean '{key}'?" not in misspelt:
                faults.append(MissingAttribute(rule, key, attribute.about, place()))
        if header[2]:
            for fault in faults:
                mention(fault, self._text.place(header[:2]))
        return [values, count, list(labels)], faults

    def _place(self, rule: Rule, header: Header, key: str = "") -> Place:
        where = header[:2]
        made = place_in_text(self._text, self.texts.disk, rule, header, key)
        name = key.partition("[")[0]
        return made or self._text.place((*where, name) if name else where)

    def _name_the_rest(self, row: Row) -> None:
        """Where an empty list stands for the package's targets of a kind, put their labels there."""
        for key, attribute in self._rules[row[0]].attributes.items():
            if isinstance(attribute, Labels) and attribute.rest_of_package and not row[3].get(key):
                row[3][key] = [
                    f"//{self._package}:{other[2]}"
                    for other in self.rows
                    if self._rules[other[0]].gives is attribute.rest_of_package and other is not row
                ]
                row[5].extend(label for label in row[3][key] if label not in row[5])


def _check_package_name(package: str, file: str) -> None:
    if package:
        try:
            canonical(f"//{package}", None)
        except BadLabel as error:
            error.place = Place(file)
            raise


def _parse_defaults(
    rules: Mapping[str, Rule], text: TomlText, defaults: Any, package: str | None
) -> tuple[dict[str, dict[str, Any]], list[tuple[str, AxError]]]:
    """Defaults by rule, and mistakes in them, each with the rule it is about."""
    found: dict[str, dict[str, Any]] = {}
    faults: list[tuple[str, AxError]] = []
    for name, table in defaults.items() if isinstance(defaults, dict) else ():
        place = text.place(("defaults", name))
        if name not in rules:
            faults.append((name, UnknownRule(name, rules, place)))
        elif not isinstance(table, dict):
            faults.append((name, InvalidToml(f"defaults stand in a table [defaults.{name}]", place)))
        else:
            place_of = partial(_default_place, text, name)
            found[name], wrong = _parse_table(rules[name], table, package, place_of)
            faults += [(name, fault) for fault in wrong]
    return found, faults


def _inside(error: WrongValue) -> str:
    """The place in an attribute that an error is about, as in "[1].check takes"; "" where it is all of it."""
    found = re.match(r"(\[\d+\]|\.\w+)*", error.sentence)
    return found[0] if found else ""


def _default_place(text: TomlText, rule: str, key: str) -> Place:
    return text.place(("defaults", rule, key.partition("[")[0]))


def _parse_table(
    rule: Rule, table: dict[str, Any], package: str | None, place: Callable[[str], Place]
) -> tuple[dict[str, Any], list[AxError]]:
    """The values that fit their attributes, and what is wrong with the others."""
    values: dict[str, Any] = {}
    faults: list[AxError] = []
    for key, item in table.items():
        attribute = rule.attributes.get(key)
        if attribute is None:
            faults.append(UnknownAttribute(rule, key, place(key)))
            continue
        try:
            values[key] = attribute.parse(item, package)
        except WrongValue as error:
            faults.append(WrongAttribute(key, error, place(f"{key}{_inside(error)}")))
        except BadLabel as error:
            error.place = place(key)
            faults.append(error)
    return values, faults
