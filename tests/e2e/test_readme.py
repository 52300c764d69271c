"""What the README and the guide show is what works: their examples are run, or are the very text of a file."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest

import axbuild
from zoo_workspace import REPOSITORY, ZOO, Zoo

README = (REPOSITORY / "README.md").read_text()


def block(text: str, title: str) -> str:
    """The fenced block that follows `<!-- test: title -->`."""
    found = re.search(rf"<!-- test: {re.escape(title)} -->\n```\w*\n(.*?)```", text, re.DOTALL)
    assert found, f"no block is marked {title!r}"
    return found[1]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    room = tmp_path_factory.mktemp("readme")
    root = room / "my-zoo"
    (root / "digits").mkdir(parents=True)
    (root / "axbuild.toml").touch()
    (root / "digits" / "BUILD.toml").write_text(block(README, "digits/BUILD.toml"))
    shutil.copy(ZOO / "digits" / "digits.onnx", root / "digits")
    shutil.copytree(ZOO / "fetched" / "digits" / "calibration", root / "digits" / "pictures")
    return Zoo(root, room / "cache")


def test_the_commands_of_the_readme_work_in_their_order(workspace: Zoo) -> None:
    for line in block(README, "commands").splitlines():
        command, *arguments = shlex.split(line)
        assert command == "axbuild"
        outcome = workspace.run(*arguments)
        assert outcome.code == 0, f"{line}\n{outcome.out}{outcome.err}"


def test_the_outputs_lie_where_the_readme_says_and_run_as_it_says(workspace: Zoo) -> None:
    workspace.build("//digits:axmodel")
    folder = workspace.root / "axbuild-out" / "digits" / "axmodel"
    assert (folder / "quant" / "quant_axmodel.onnx").is_file()
    assert (folder / "frontend" / "optimized.onnx").is_file()
    assert list(folder.glob("compiler/*/b1/report.json"))
    session = axbuild.InferenceSession(folder / "compiled.axmodel")
    picture = np.load(ZOO / "fetched" / "digits" / "test_images.npy")[0][None, :, :, None]
    (logits,) = session.run(None, {"image": picture})
    assert logits.shape == (1, 10)
    assert logits.argmax() == np.load(ZOO / "fetched" / "digits" / "test_labels.npy")[0]


def test_every_make_target_that_the_readme_names_exists() -> None:
    targets = set(re.findall(r"^make (\w+)$", README, re.MULTILINE))
    assert targets == {"demo", "test"}
    known = re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert targets <= set(known)


def test_links_of_the_readme_and_the_guide_lead_somewhere() -> None:
    for page in (REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert link.startswith("https://") or (page.parent / link).exists(), f"{page}: {link}"


def test_the_guide_shows_the_rule_of_the_example_as_it_is() -> None:
    guide = (REPOSITORY / "docs" / "guide" / "own-rules.md").read_text()
    assert block(guide, "examples/zoo/rules/keras.py") in (ZOO / "rules" / "keras.py").read_text()


def test_the_error_in_the_guide_is_the_one_users_see(workspace: Zoo) -> None:
    guide = (REPOSITORY / "docs" / "guide" / "build-files.md").read_text()
    with workspace.edited("digits/BUILD.toml", "calibration =", "calibraton ="):
        outcome = workspace.run("build", "//digits:quant")
    assert outcome.code == 2
    assert block(guide, "unknown attribute").strip() in outcome.out + outcome.err


def test_the_version_command_prints_the_package_version() -> None:
    printed = subprocess.run([sys.executable, "-m", "axbuild.cli.entry", "version"], capture_output=True, text=True)
    assert axbuild.__version__ in printed.stdout
