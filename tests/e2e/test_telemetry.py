"""Nothing is written below a user's home, and nothing is connected to: libraries' telemetry is off in every process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import helper

from tiny_workspace import Tiny
from zoo_workspace import Zoo, copy_zoo

RULE = '''
from axbuild.workspace.providers import Files
from axbuild.workspace.rule import Source, Stage, rule

RUN = Stage("./run_stages.py:run", outputs=("seen.json",), float=True)


@rule
class ran:
    """A model under onnxruntime, and what the process has open then."""

    gives = Files
    src = Source("The model.", one_file=True, required=True)

    def actions(self, t, plan):
        done = plan.run(RUN, model=t.src)
        plan.output("seen.json", done)
        return Files(done.only)
'''
SEEN = '''
import os
from pathlib import Path


def opened():
    """Targets of the process's descriptors."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:  # the listing's own
            continue
    return found


def internet():
    """Descriptors of internet sockets, by the inodes that the kernel's tables name."""
    tables = [Path("/proc/self/net", name) for name in ("tcp", "tcp6", "udp", "udp6")]
    rows = [row.split() for table in tables if table.exists() for row in table.read_text().splitlines()[1:]]
    return sorted({f"socket:[{row[9]}]" for row in rows}.intersection(opened()))
'''
STAGE = (
    """
import json
from pathlib import Path

import onnxruntime
"""
    + SEEN
    + """

def run(model: Path, out: Path) -> None:
    onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (out / "seen.json").write_text(json.dumps({"opened": opened(), "internet": internet()}))
"""
)
SESSION = (
    SEEN
    + """
import sys

from axbuild import InferenceSession

session = InferenceSession(sys.argv[1])
import onnxruntime

onnxruntime.InferenceSession(sys.argv[2], providers=["CPUExecutionProvider"])
assert not internet(), internet()
assert not [name for name in opened() if "Microsoft" in name], opened()
"""
)


def relu(path: Path) -> Path:
    port = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", port[:1], port[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, in an environment that says nothing of telemetry."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    return tmp_path / "home"


def test_a_build_and_a_session_leave_the_users_home_empty_and_open_no_socket(tmp_path: Path, home: Path) -> None:
    zoo = Zoo(copy_zoo(tmp_path / "workspace"), tmp_path / "cache")
    zoo.build("//digits:axmodel", "//digits:check")
    axmodel = zoo.root / "axbuild-out/digits/axmodel/compiled.axmodel"
    model = relu(tmp_path / "relu.onnx")
    done = subprocess.run([sys.executable, "-c", SESSION, axmodel, model], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(home.rglob("*")) == []


def test_a_stage_that_loads_onnxruntime_itself_has_no_telemetry_either(tmp_path: Path, home: Path) -> None:
    tiny = Tiny(tmp_path / "workspace")
    tiny.write("rules/run.py", RULE)
    tiny.write("rules/run_stages.py", STAGE)
    tiny.write("q/BUILD.toml", '[[ran]]\nname = "ran"\nsrc = "relu.onnx"\n')
    relu(tiny.root / "q/relu.onnx")
    done = tiny.build("//q:ran")
    assert done.code == 0, done.err
    seen = json.loads(tiny.read("axbuild-out/q/ran/seen.json"))
    assert seen["internet"] == []
    assert [name for name in seen["opened"] if "Microsoft" in name] == []
    assert list(home.rglob("*")) == []
