"""A table that is wider than the screen: no line is torn, what tells rows apart stays longest."""

import pytest

from axbuild.errors import visible
from axbuild.report.text_table import LEAST, TextTable
from axbuild.toolchain.analysis.rows import AnalysedRow
from axbuild.toolchain.analysis.table import HEAD, table_of

SPARE = ("Type", "DType", "Shape", "Output Tensor")


def table(*names):
    rows = [
        AnalysedRow(name, "AxQuantizedConv", name, f"{name}_relu", (1, 32, 80, 80), "U8", (), (), False, None, 0.0)
        for name in names
    ]
    return TextTable(tuple(table_of("Quant Precision Table【PerLayer Reference】", rows)), SPARE)


def heads(lines):
    return [cell.strip() for cell in lines[2].strip("┃").split("┃")]


LONG = ("block_12_depthwise_of_a_long_name", "block_12_project_of_a_long_name", "x │ y")


@pytest.mark.parametrize("columns", [None, 400])
def test_where_there_is_room_it_stays_as_it_is(columns):
    made = table(*LONG)
    assert made.fitted(columns) == list(made.lines)


@pytest.mark.parametrize("columns", [150, 120, 100, 80, 60])
def test_every_line_fits_and_has_the_same_length(columns):
    title, *lines = table(*LONG).fitted(columns)
    assert len(title) <= columns
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines[0]) <= columns
    assert len(lines) == len(LONG) + 4


def test_cells_are_cut_first_and_then_columns_go_that_say_least():
    made = table(*LONG)
    assert heads(made.fitted(130)) == list(HEAD)
    assert any("…" in line for line in made.fitted(130))
    assert heads(made.fitted(100)) == [head for head in HEAD if head != "Type"]
    narrow = made.fitted(60)
    assert heads(narrow) == ["Operator", "QDType", "Cosin", "MSE"]
    assert narrow[4].startswith("│ block_12_depthwise_of_a")


def test_a_screen_that_is_too_narrow_for_any_of_it_still_keeps_beginnings():
    lines = table(*LONG).fitted(20)
    assert lines[4][: LEAST - 2] == "│ bloc"
    assert visible(lines[4]) == lines[4]
