"""docs/guide/why.md is what `why` answers, and says what the promises say of each edit."""

import re

import pytest

from why_page import EDITS, PAGE, answers, page, structure

CHECK = {"answers", "answers/reference", "answers/simulate"}
PARTITION = {"partition", "split", "split/compile_0_b1", "fuse", *CHECK}
FUSED = {"fuse", "answers", "answers/simulate"}
RAN = {
    "A comment": set(),
    "A package moved": set(),
    "A tolerance of a check": {"compare"},
    "The level of a check": {"compare"},
    "A batch size more": {"split", "split/compile_0_b2", *FUSED},
    "`npu_mode`": {"preflight", "partition", "split", "split/compile_0_b1", *FUSED},
    "`ddr_bw_limit`": {"split", "split/compile_0_b1", *FUSED},
    "`src_dtype` of an input": {"preflight", *PARTITION},
    "`src_layout` of an input": {"preflight", *PARTITION},
    "A calibration picture added": {"decode", "spread", "spread/observe", *CHECK, "compare"},
    "A calibration picture replaced": {"decode", "spread/observe", "calibrate", *CHECK, "compare"},
    "A stage's module edited": {"compare"},
    "Another version of a tool": {"decode"},
    "The float platform": {"optimize", "decode", "spread/observe"},
    "A stored file lost": {"fuse"},
    "A stored file damaged": {"preflight", "quantize", *PARTITION},
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return answers(tmp_path_factory.mktemp("why"))


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.title)
def test_what_ran_after_each_edit_and_nothing_else(found, edit):
    ran = re.findall(r"^  (\S+) +ran ", found[edit.title], re.MULTILINE)
    assert set(ran) == RAN[edit.title]


def test_the_page_is_what_why_answers(found):
    written = structure(PAGE.read_text(encoding="utf-8"))
    assert written == structure(page(found)), "run `python tests/e2e/why_page.py --write`"


@pytest.mark.parametrize(
    ("title", "cause"),
    [
        ("A tolerance of a check", "parameter rtol: 1e-05 -> 0.0001 at digits/BUILD.toml:32 (//digits:check compare)"),
        ("`npu_mode`", 'parameter chip.npu_mode: "NPU1" -> "NPU2" at digits/BUILD.toml:24 (3 actions)'),
        (
            "A calibration picture added",
            "fetched/digits/calibration/digit_00_another.png appeared (//digits:quant decode)",
        ),
        ("A stage's module edited", "code axbuild.toolchain.axmodel.compare changed: <digest> -> <digest>"),
        ("Another version of a tool", "tool pillow: <version> -> 99.0 (//digits:quant decode)"),
        ("The float platform", "float platform: <version> -> any (3 actions)"),
        ("A stored file lost", "stored output compiled.axmodel (<digest>) is missing (//digits:axmodel fuse)"),
        ("A stored file damaged", "stored output quant_axmodel.onnx (<digest>) is corrupt (//digits:quant quantize)"),
    ],
)
def test_the_first_causes_have_names(found, title, cause):
    assert any(line.strip().startswith(cause) for line in structure(found[title])), found[title]
