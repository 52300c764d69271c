"""How the stand-in of Pulsar2 is called, and a workspace that is enough for it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
from onnx import helper

from net_workspace import net_workspace
from zoo_workspace import REPOSITORY, Zoo

SHAPE = (1, 3, 8, 8)
"""of the net's input x and output y"""


def standin(*options: str) -> str:
    """A command, as `[toolchain] pulsar2` takes one."""
    paths = f"{REPOSITORY}:{REPOSITORY / 'tests'}"
    script = str(REPOSITORY / "tests/pulsar2_standin.py")
    return shlex.join(["env", f"PYTHONPATH={paths}", sys.executable, script, *options])


def relu_workspace(root: Path, build: str, toolchain: str) -> Zoo:
    """A net of one operator and two samples. toolchain: what `[toolchain] pulsar2` is, as TOML has it."""
    ports = [helper.make_tensor_value_info(name, 1, SHAPE) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ports[:1], ports[1:])
    zoo = net_workspace(root, build, helper.make_model(graph), [np.zeros(SHAPE, np.float32)] * 2)
    (root / "axbuild.toml").write_text(f"[toolchain]\npulsar2 = {toolchain}\n")
    return zoo
