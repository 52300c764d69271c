"""The chips' files: what they hold, how they are read, and the errors of one that is not complete."""

from __future__ import annotations

import pytest
from npu_world import CHIPS, chip_of

from axbuild.toolchain.npu.chips.table import FOLDER, ChipError, by_name, chips_of
from axbuild.workspace.tables import Tables

OPERATORS = {"AX650": 94, "AX620E": 77, "AX620Q": 77, "AX615": 71, "AX637": 95, "M57": 95}
BEYOND_THE_VENDORS_LIST = {"Dropout"}


def tables() -> dict:
    return Tables(FOLDER).tables


def test_every_chip_has_its_modes_and_the_operators_of_the_vendors_list():
    modes = {chip.name: tuple(chip.modes) for chip in CHIPS.values()}
    assert modes == {
        "AX650": ("NPU1", "NPU2", "NPU3"),
        "AX620E": ("NPU1", "NPU2"),
        "AX620Q": ("NPU1", "NPU2"),
        "AX615": ("NPU1", "NPU2"),
        "AX637": ("NPU1",),
        "M57": ("NPU1",),
        "AX8860": (),
    }
    for name, count in OPERATORS.items():
        assert len(CHIPS[name].operators.keys() - BEYOND_THE_VENDORS_LIST) == count
    assert len({op for chip in CHIPS.values() for op in chip.operators} - BEYOND_THE_VENDORS_LIST) == 95


def test_other_names_lead_to_the_chip_they_stand_for():
    aliases = {name: chip.name for name, chip in CHIPS.items() if name != chip.name}
    assert aliases == dict.fromkeys(("AX650A", "AX650N", "AX8850", "M76H"), "AX650") | dict.fromkeys(
        ("AX620QP", "AX620QZ", "AX630C", "AX631"), "AX620E"
    )


def test_the_numbers_in_a_container_are_those_that_are_public():
    numbers = {chip.name: chip.container for chip in CHIPS.values() if not chip.refused}
    assert numbers == {"AX650": 0, "AX620E": 1, "AX620Q": 1, "M57": 4, "AX615": 6, "AX637": 1637}


def test_wide_types_are_slower_by_the_chips_figures():
    rates = chip_of("AX615", "NPU2").rates
    assert (rates.conv_wide, rates.teng_wide, rates.teng_float) == (4.0, 2.0, 4.0)


def test_a_mode_may_have_figures_of_its_own():
    assert CHIPS["AX615"].preset("NPU1").efficiency == 0.425
    assert CHIPS["AX615"].preset("NPU2").efficiency == 0.85


def test_a_whole_number_is_the_same_figure_as_a_float():
    whole = tables()
    whole["m57.toml"]["figures"]["ddr_bytes"] = 16
    (chip,) = (chip for chip in chips_of(whole) if chip.name == "M57")
    assert repr(chip.preset("NPU1")) == repr(CHIPS["M57"].preset("NPU1"))


def broken(change) -> str:
    files = tables()
    change(files)
    with pytest.raises(ChipError) as caught:
        by_name(chips_of(files))["M57"].preset("NPU1")
    return caught.value.sentence


def test_a_file_that_is_not_complete_is_named():
    assert broken(lambda f: f["m57.toml"].pop("modes")) == "The chip file m57.toml lacks modes."
    assert broken(lambda f: f["m57.toml"].update(speed=1)) == "The chip file m57.toml has an unknown speed."
    missing = "The chip file m57.toml lacks mac_ci of NPU1."
    assert broken(lambda f: f["m57.toml"]["figures"].pop("mac_ci")) == missing
    engine = "The chip file m57.toml lacks cv of NPU1's engines."
    assert broken(lambda f: f["m57.toml"]["figures"]["engines"].pop("cv")) == engine


def test_two_chips_of_one_name_are_refused():
    sentence = broken(lambda f: f["m57.toml"].update(aliases=["M76H"]))
    assert sentence == "Both AX650 and M57 are called M76H."


def test_no_name_is_left_out():
    assert list(CHIPS) == sorted(CHIPS)
    assert by_name(tuple({chip.name: chip for chip in CHIPS.values()}.values())) == CHIPS
