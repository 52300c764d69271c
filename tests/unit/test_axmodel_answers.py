"""A check's expansion: which stages it lays out for which partition, and that they take what it hands on."""

from __future__ import annotations

import importlib
import inspect

import pytest

from axbuild.engine.run.expansion import read_expansion
from axbuild.engine.workers.params import params_of
from axbuild.graph.actions import Action
from axbuild.toolchain.axmodel.answers import answers
from axbuild.toolchain.npu.plan.boundary import BoundaryTensor
from axbuild.toolchain.npu.plan.record import CPU, NPU, Partition, PlannedSubgraph
from axbuild.workspace.artifact import Output
from axbuild.workspace.workspace import Workspace

PROCESSOR = {
    **{"tensor_name": "x", "tensor_format": "RGB", "src_format": "RGB", "src_dtype": "FP32", "src_layout": "NCHW"},
    **{"mean": [1.0], "std": [2.0]},
}
PARAMS = {
    "inputs": [{"name": "x", "format": "Numpy", "mean": [], "std": []}],
    "input_processors": [PROCESSOR],
}


@pytest.mark.parametrize(
    ("place", "layers", "stages", "inputs"),
    [
        (NPU, False, ["reference", "simulate"], [{"model", "samples"}, {"axmodel", "samples"}]),
        (NPU, True, ["follow", "simulate_parts"], [{"partition", "samples"}, {"axmodel", "boundaries", "samples"}]),
        (CPU, False, ["follow", "simulate_parts"], [{"partition", "samples"}, {"axmodel", "boundaries", "samples"}]),
    ],
)
def test_what_is_compared_follows_from_the_partition(tmp_path, place, layers, stages, inputs):
    asked = PARAMS | {"layers": layers}
    x, y = (BoundaryTensor(name, "float32", (1, 4)) for name in "xy")
    Partition("AX650", (x,), (y,), (), (PlannedSubgraph("s", place, ("x",), ("y",)),)).write(tmp_path)
    (tmp_path / "axbuild.toml").touch()
    known = Workspace.find(tmp_path, environ={}).rules.stages
    own = next(stage for stage in known.values() if stage.function == "answers")
    roles = ("axmodel", "model", "partition", "samples")
    parent = Action(("//m:check", "answers"), own, asked, {role: Output(("//m:x", role), f"{role}/") for role in roles})

    answers(tmp_path, tmp_path, tmp_path, [], tmp_path, **params_of(answers, asked))
    expansion = read_expansion(parent, (tmp_path / "expansion.json").read_bytes(), known)

    assert [child.stage.function for child in expansion.children] == stages
    assert [child.stage.float for child in expansion.children] == [stages[0] == "follow", False]
    assert [set(child.inputs) for child in expansion.children] == inputs
    assert list(expansion.result) == ["reference/", "simulated/"]
    for child in expansion.children:
        function = getattr(importlib.import_module(child.stage.module), child.stage.function)
        assert {*child.inputs, "out", "params"} == inspect.signature(function).parameters.keys()
        params_of(function, child.params)
