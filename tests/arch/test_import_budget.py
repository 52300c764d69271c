"""What a command may import before it has anything to do: start-up is most of what a user waits for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = {
    "torch",
    "onnx",
    "onnx_ir",
    "numpy",
    "onnxruntime",
    "networkx",
    "jsonschema",
    "diskcache",
    "rich",
    "importlib.metadata",
}
# Each costs a no-op a good part of its 10 ms; it needs none of them.
SLOW = {"click", "typing", "dataclasses", "pathlib", "json", "re", "enum", "collections", "msgpack", "rtoml", "hashlib"}
NO_OP_MODULES = 12
TOP = Path(__file__).resolve().parents[2]


def imported(*arguments: str, cwd: Path) -> set[str]:
    """Modules that a command line imports beside those that Python itself starts with."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AXBUILD_")}
    clean["PYTHONPATH"] = str(TOP)
    commands = ([sys.executable, "-X", "importtime", "-m", "axbuild.cli.entry", *arguments], _bare())
    texts = [
        subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=60).stderr
        for command in commands
    ]
    names = [{line.rpartition("|")[2].strip() for line in text.splitlines() if "|" in line} for text in texts]
    return names[0] - names[1]


def _bare() -> list[str]:
    return [sys.executable, "-X", "importtime", "-c", "import runpy"]


@pytest.fixture
def workspace(tmp_path):
    root = tmp_path / "ws"
    (root / "p").mkdir(parents=True)
    (root / "axbuild.toml").write_text("")
    (root / "p/notes.txt").write_text("notes")
    (root / "p/BUILD.toml").write_text('[[filegroup]]\nname = "p"\nsrcs = "notes.txt"\n')
    return root


def test_help_imports_nothing_heavy(tmp_path):
    assert imported("--help", cwd=tmp_path) & HEAVY == set()


def test_a_warm_query_imports_nothing_heavy(workspace):
    imported("query", "//...", cwd=workspace)
    assert imported("query", "deps(//p)", cwd=workspace) & HEAVY == set()


def test_a_no_op_imports_next_to_nothing(workspace):
    for _ in range(3):
        imported("build", "//p", cwd=workspace)
        time.sleep(2.1)  # until then files are young, and told by their bytes or not at all
    found = imported("build", "//p", cwd=workspace)
    assert found & (HEAVY | SLOW) == set()
    ours = {name for name in found if name.startswith("axbuild")}
    assert ours <= {
        "axbuild",
        "axbuild.cli",
        "axbuild.cli.entry",
        "axbuild.cli.interrupts",
        "axbuild.engine",
        "axbuild.engine.noop",
        "axbuild.engine.noop.snapshot",
    }


def test_the_module_of_the_no_op_stands_alone():
    module = "axbuild.engine.noop.snapshot"
    code = f"import sys; before = set(sys.modules); import {module}; print(*(set(sys.modules) - before))"
    clean = {**os.environ, "PYTHONPATH": str(TOP)}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    found = set(done.stdout.split())
    assert found & (HEAVY | SLOW) == set()
    assert len(found) <= NO_OP_MODULES, sorted(found)
