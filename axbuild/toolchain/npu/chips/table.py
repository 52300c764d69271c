"""The chips: one TOML file each beside this one. Adding a file adds a chip.

`name`; `aliases`, other names for it; `container`, its number in an axmodel's `extra_data`; `[figures]` and `[modes]`
(`records.Preset`); `[operators]` (`records.Support`). A chip that only the vendor's toolchain compiles for has
`name`, `aliases` and `refused`, the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from axbuild.errors import AxError
from axbuild.toolchain.npu.chips.records import Preset, Support

FOLDER = Path(__file__).parent
_FIELDS = {"name", "aliases", "container", "figures", "modes", "operators"}
_FIELDS_WHERE_REFUSED = {"name", "aliases", "refused"}
_FLOATS = tuple(field.name for field in fields(Preset) if field.type == "float")


class ChipError(AxError):
    """AX402: a chip or npu_mode that the reference NPU has no preset for, or a file of one that is not complete."""

    code = "AX402"


@dataclass(frozen=True)
class ChipFile:
    """One file, checked. refused: why nothing is compiled for the chip, "" where something is."""

    name: str
    aliases: tuple[str, ...]
    container: int
    presets: dict[str, Preset]
    support: Support
    refused: str = ""

    def preset(self, npu_mode: str) -> Preset:
        """The figures of a mode; ChipError where the chip has none of that name, or is refused."""
        if self.refused:
            raise ChipError(f"The reference NPU cannot stand in for {self.name}: {self.refused}.")
        if npu_mode not in self.presets:
            raise ChipError(f"{self.name} has no npu_mode '{npu_mode}'.", hint=f"known: {', '.join(self.presets)}")
        return self.presets[npu_mode]


def chips_of(tables: Mapping[str, dict[str, Any]]) -> tuple[ChipFile, ...]:
    """The chips of a folder's files (file name -> content), by name; ChipError where two claim a name."""
    chips = sorted((_chip(file, table) for file, table in tables.items()), key=lambda chip: chip.name)
    by_name(chips)
    return tuple(chips)


def by_name(chips: tuple[ChipFile, ...] | list[ChipFile]) -> dict[str, ChipFile]:
    """Every name that `target_hardware` may have, sorted -> the chip it stands for."""
    named: dict[str, ChipFile] = {}
    for chip in chips:
        for name in (chip.name, *chip.aliases):
            if named.setdefault(name, chip) is not chip:
                raise ChipError(f"Both {named[name].name} and {chip.name} are called {name}.")
    return dict(sorted(named.items()))


def _chip(file: str, table: dict[str, Any]) -> ChipFile:
    expected = _FIELDS_WHERE_REFUSED if "refused" in table else _FIELDS
    _agree(file, "", table, expected)
    name, aliases = str(table["name"]), tuple(table["aliases"])
    if "refused" in table:
        return ChipFile(name, aliases, 0, {}, Support(name, {}), table["refused"])
    operators = {op: tuple(limits) for op, limits in table["operators"].items()}
    presets = {mode: _preset(file, name, mode, table["figures"] | own) for mode, own in table["modes"].items()}
    return ChipFile(name, aliases, int(table["container"]), presets, Support(name, operators))


def _preset(file: str, name: str, mode: str, figures: dict[str, Any]) -> Preset:
    _agree(file, f" of {mode}", figures, {field.name for field in fields(Preset)} - {"name", "npu_mode"})
    _agree(file, f" of {mode}'s engines", figures["engines"], {"conv", "teng", "cv", "sdma"})
    # 16 and 16.0 are two texts in a key: whatever is written, a float it is.
    floats = {key: float(figures[key]) for key in _FLOATS}
    return Preset(name=name, npu_mode=mode, **figures | floats)


def _agree(file: str, where: str, table: dict[str, Any], expected: set[str]) -> None:
    for word, names in (("lacks", expected - table.keys()), ("has an unknown", table.keys() - expected)):
        if names:
            raise ChipError(f"The chip file {file} {word} {', '.join(sorted(names))}{where}.")
