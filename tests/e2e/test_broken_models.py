"""Broken and unsupported models: one sentence each, exit code 2, and nothing slow has run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from broken_models import REFUSED, REFUSED_BY_THE_CLIENT, content
from zoo_workspace import Outcome, Zoo

BUILD = """
[[float_model]]
name = "float"
src = "model.onnx"

[[calibration_set]]
name = "calib"
src = "a.npy"
format = "Numpy"

[[quant_model]]
name = "quant"
model = ":float"
calibration = ":calib"

[[axmodel]]
name = "axmodel"
quant = ":quant"

[[check]]
name = "check"
axmodel = ":axmodel"
level = "equal"
"""


def package(folder: Path, model: bytes) -> None:
    """A whole chain from the model to a check."""
    folder.mkdir(parents=True)
    (folder / "BUILD.toml").write_text(BUILD)
    (folder / "model.onnx").write_bytes(model)
    (folder / "data.bin").write_bytes(bytes(100))
    np.save(folder / "a.npy", np.zeros((1, 3, 8, 8), np.float32))


def named(case: str) -> str:
    return re.sub(r"\W", "_", case)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """One build of all models that are refused where their front end runs."""
    root = tmp_path_factory.mktemp("broken") / "workspace"
    for case, (model, _) in REFUSED.items():
        package(root / named(case), content(model))
    (root / "axbuild.toml").touch()
    return Zoo(root, root.parent / "cache").run("build", "--keep_going", "//...")


def test_at_least_forty_models_are_refused_with_exit_code_2_and_nothing_ran(refused: Outcome) -> None:
    assert len(REFUSED) + len(REFUSED_BY_THE_CLIENT) >= 40
    assert refused.code == 2, refused.err
    assert refused.executed == []
    assert "Traceback" not in refused.err


@pytest.mark.parametrize("case", REFUSED)
def test_a_model_that_the_front_end_refuses_is_told_in_one_sentence(refused: Outcome, case: str) -> None:
    label = f"//{named(case)}:float optimize"
    found = re.findall(rf"^error AX3\d\d: {re.escape(label)}: (.*(?:\n  hint: .*)?)$", refused.err, re.MULTILINE)
    assert len(found) == 1, refused.err
    assert re.search(REFUSED[case][1], found[0]), found[0]
    assert len(found[0]) < 600
    assert found[0].isprintable() or found[0].replace("\n", "").isprintable()


@pytest.mark.parametrize("case", REFUSED_BY_THE_CLIENT)
def test_a_file_that_is_no_model_is_refused_before_anything_is_asked_of_a_worker(tmp_path: Path, case: str) -> None:
    model, told = REFUSED_BY_THE_CLIENT[case]
    root = tmp_path / "workspace"
    package(root / "p", content(model))
    (root / "axbuild.toml").touch()
    outcome = Zoo(root, tmp_path / "cache").run("build", "//p:check")
    assert (outcome.code, outcome.executed) == (2, [])
    assert re.search(told, outcome.err), outcome.err
    assert re.search(r"p/BUILD\.toml:4: error AX1\d\d: p/model\.onnx ", outcome.err), outcome.err
