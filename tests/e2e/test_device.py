"""Where an action computes: its device travels with it, and of it the kind alone decides what runs again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny_workspace import Tiny

RULES = '''
from axbuild.workspace.providers import Files
from axbuild.workspace.rule import Choice, Stage, rule

SPREAD = Stage("./spread_stages.py:spread", expands=True)
COMPUTE = Stage("./compute_stages.py:compute", outputs=("text",), float=True, device=True)


@rule
class computed:
    """Where its child computed."""

    gives = Files
    device = Choice("Where.", ("cpu", "cuda:0", "cuda:1"), default="cpu")

    def actions(self, t, plan):
        spread = plan.expand(SPREAD, device=t.device)
        plan.output("out/", spread.result)
        return Files(spread.result)
'''
SPREAD = """
import json
from pathlib import Path


def spread(out: Path) -> None:
    child = {"name": "one", "stage": "./compute_stages.py:compute", "params": {}, "inputs": {}}
    (out / "expansion.json").write_text(json.dumps({"children": [child], "result": {"text": "child:one/text"}}))
"""
COMPUTE = """
from pathlib import Path


def compute(out: Path, *, device: str) -> None:
    (out / "text").write_text(device)
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    tiny = Tiny(tmp_path / "ws")
    tiny.write("rules/device.py", RULES)
    tiny.write("rules/spread_stages.py", SPREAD)
    tiny.write("rules/compute_stages.py", COMPUTE)
    tiny.write("q/BUILD.toml", '[[computed]]\nname = "c"\ndevice = "cuda:0"\n')
    return tiny


def test_a_child_computes_where_its_expansion_was_told(tiny: Tiny) -> None:
    assert tiny.build("//q:c").executed == ["spread", "compute"]
    assert tiny.read("axbuild-out/q/c/out/text") == "cuda:0"


def test_another_gpu_runs_nothing_and_another_kind_of_device_does(tiny: Tiny) -> None:
    tiny.build("//q:c")
    tiny.edit("q/BUILD.toml", "cuda:0", "cuda:1")
    assert tiny.build("//q:c").executed == []
    tiny.edit("q/BUILD.toml", "cuda:1", "cpu")
    assert tiny.build("//q:c").executed == ["compute"]
    assert tiny.read("axbuild-out/q/c/out/text") == "cpu"
