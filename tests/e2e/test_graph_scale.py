"""The scale benchmark itself: what it edits runs what it says, and peers that are missing are named."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks/graph_scale.py"


def test_each_scenario_runs_exactly_what_its_edit_reaches(tmp_path):
    out = tmp_path / "rows.json"
    command = [sys.executable, SCRIPT, "--packages", "2", "--peers", "ninja", "--runs", "1", "--work", tmp_path]
    nowhere = {**os.environ, "PATH": str(tmp_path)}
    done = subprocess.run([*command, "--json", out], env=nowhere, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["left_out"] == ["ninja"]
    assert "not installed, left out: ninja" in done.stderr
    ran = {row["scenario"]: row["ran"] for row in found["rows"]}
    edited = {"build": [0], "attribute": [3], "target": [1], "package": [0], "settings": [0], "rules": [0]}
    assert ran == {"cold": [16], "settle": [0], "noop": [0], "leaf": [8], "comment": [2], "label": [0], **edited}
    assert all(row["tool"] == "axbuild" and row["seconds"] > 0 and row["mib"] > 5 for row in found["rows"])
    assert found["machine"]["cpus"] >= 1


def test_a_zoo_that_was_kept_is_measured_again_without_a_cold_build(tmp_path):
    out = tmp_path / "rows.json"
    command = [sys.executable, SCRIPT, "--packages", "2", "--runs", "1", "--keep", tmp_path / "kept", "--json", out]
    ran = []
    for scenarios in ("leaf,target", "leaf"):
        done = subprocess.run([*command, "--scenarios", scenarios], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        ran.append({row["scenario"]: row["ran"] for row in json.loads(out.read_text())["rows"]})
    assert ran[0] == {"cold": [16], "settle": [0], "leaf": [8], "target": [1]}
    assert (ran[1].keys(), ran[1]["leaf"]) == ({"settle", "leaf"}, [8]), "what the edits before added is gone"
