"""The chips that targets may name, from the toolchain's folder of chip files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axbuild.toolchain.npu.chips.table import FOLDER, ChipError, ChipFile, by_name, chips_of
from axbuild.workspace.rule import Settled, Tables

if TYPE_CHECKING:
    from axbuild.toolchain.npu.chips.records import Preset

_FILES = Tables(FOLDER)
CHIPS = by_name(chips_of(_FILES.tables))
"""every name of each chip -> its file"""
MODES = tuple(sorted({mode for chip in CHIPS.values() for mode in chip.modes}))


def chosen(t: Settled) -> tuple[ChipFile, Preset]:
    """The chip and the figures that `target_hardware` and `npu_mode` ask for; an error at the attribute at fault."""
    chip = CHIPS[t.target_hardware]
    try:
        return chip, chip.preset(t.npu_mode)
    except ChipError as error:
        attribute = "target_hardware" if chip.refused else "npu_mode"
        raise t.error(attribute, error.sentence, hint=error.hint, code=error.code) from None
