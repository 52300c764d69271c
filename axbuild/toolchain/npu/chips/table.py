"""The chips: one TOML file each beside this one. Adding a file adds a chip.

`name`; `aliases`, other names for it; `container`, its number in an axmodel's `extra_data`; `[figures]` and `[modes]`
(`records.Preset`); `[operators]` (`records.Support`). A chip that only the vendor's toolchain compiles for has
`name`, `aliases` and `refused`, the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axbuild.errors import AxError

if TYPE_CHECKING:
    from axbuild.toolchain.npu.chips.records import Preset, Support

FOLDER = Path(__file__).parent
_FIELDS = {"name", "aliases", "container", "figures", "modes", "operators", "quant_onnx"}
_FIELDS_WHERE_REFUSED = {"name", "aliases", "refused"}
_ENGINES = {"conv", "teng", "cv", "sdma"}


class ChipError(AxError):
    """AX402: a chip or npu_mode that the reference NPU has no preset for, or a file of one that is not complete."""

    code = "AX402"


class ChipFile:
    """One file. refused: why nothing is compiled for the chip, "" where something is; quant_onnx: whether the vendor's
    tool takes QDQ models for it.

    No dataclass, and those of `records` are made when one is asked for: every command loads the rules, which take the
    names alone, and making such classes takes longer than reading all files.
    """

    def __init__(self, file: str, table: Mapping[str, Any]) -> None:
        _agree(file, "", table, _FIELDS_WHERE_REFUSED if "refused" in table else _FIELDS)
        self.file = file
        self.name: str = table["name"]
        self.aliases: list[str] = table["aliases"]
        self.container: int = table.get("container", 0)
        self.figures: dict[str, Any] = table.get("figures", {})
        self.modes: dict[str, dict[str, Any]] = table.get("modes", {})
        self.operators: dict[str, list[str]] = table.get("operators", {})
        self.quant_onnx: bool = table.get("quant_onnx", False)
        self.refused: str = table.get("refused", "")

    def preset(self, npu_mode: str) -> Preset:
        """The figures of a mode; ChipError where the chip has none of that name, is refused, or lacks a figure."""
        from axbuild.toolchain.npu.chips.records import Preset

        if self.refused:
            raise ChipError(f"The reference NPU cannot stand in for {self.name}: {self.refused}.")
        if npu_mode not in self.modes:
            raise ChipError(f"{self.name} has no npu_mode '{npu_mode}'.", hint=f"known: {', '.join(self.modes)}")
        figures = self.figures | self.modes[npu_mode]
        types = Preset.__annotations__
        _agree(self.file, f" of {npu_mode}", figures, types.keys() - {"name", "npu_mode"})
        _agree(self.file, f" of {npu_mode}'s engines", figures["engines"], _ENGINES)
        # 16 and 16.0 are two texts in a key: whatever is written, a float it is.
        settled: dict[str, Any] = {
            key: float(value) if types[key] == "float" else value for key, value in figures.items()
        }
        return Preset(name=self.name, npu_mode=npu_mode, **settled)

    @property
    def support(self) -> Support:
        from axbuild.toolchain.npu.chips.records import Support

        return Support(self.name, {op: tuple(limits) for op, limits in self.operators.items()})

    def support_in(self, npu_mode: str) -> Support:
        """With what a mode has on chip; ChipError as of `preset`."""
        from axbuild.toolchain.npu.chips.records import Support

        return Support(self.name, self.support.operators, self.preset(npu_mode).memory)


def chips_of(tables: Mapping[str, dict[str, Any]]) -> tuple[ChipFile, ...]:
    """The chips of a folder's files (file name -> content), by name; ChipError where one lacks a part."""
    return tuple(sorted((ChipFile(file, table) for file, table in tables.items()), key=lambda chip: chip.name))


def by_name(chips: Iterable[ChipFile]) -> dict[str, ChipFile]:
    """Every name that `target_hardware` may have, sorted -> the chip it stands for; ChipError where two claim one."""
    named: dict[str, ChipFile] = {}
    for chip in chips:
        for name in (chip.name, *chip.aliases):
            if named.setdefault(name, chip) is not chip:
                raise ChipError(f"Both {named[name].name} and {chip.name} are called {name}.")
    return dict(sorted(named.items()))


def _agree(file: str, where: str, table: Mapping[str, Any], expected: set[str]) -> None:
    for word, names in (("lacks", expected - table.keys()), ("has an unknown", table.keys() - expected)):
        if names:
            raise ChipError(f"The chip file {file} {word} {', '.join(sorted(names))}{where}.")
