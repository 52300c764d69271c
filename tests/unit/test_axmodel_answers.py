"""A check's expansion: which stages it lays out for which partition, and that they take what it hands on."""

from __future__ import annotations

import importlib
import inspect

import pytest

from axbuild.engine.run.expansion import read_expansion
from axbuild.engine.workers.params import params_of
from axbuild.graph.actions import Action
from axbuild.toolchain.axmodel.answers import NothingToCompareError, answers
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


FOLLOWED = [{"partition", "samples"}, {"axmodel", "boundaries", "samples"}]
GIVEN = [{"partition", "data"}, {"axmodel", "boundaries", "samples"}]


@pytest.mark.parametrize(
    ("place", "asked", "stages", "inputs"),
    [
        (NPU, {}, ["reference", "simulate"], [{"model", "samples"}, {"axmodel", "samples"}]),
        (NPU, {"layers": True}, ["follow", "simulate_parts"], FOLLOWED),
        (CPU, {}, ["follow", "simulate_parts"], FOLLOWED),
        (NPU, {"sub_configs": [0]}, ["follow", "simulate_parts"], FOLLOWED),
        (NPU, {"data": True}, ["given", "simulate_parts"], GIVEN),
    ],
)
def test_what_is_compared_follows_from_the_partition(tmp_path, place, asked, stages, inputs):
    asked = PARAMS | asked
    data = [tmp_path] if asked.pop("data", False) else []
    part = PlannedSubgraph("s", place, ("x",), ("y",), check="equal" if place == NPU else "", sub_config=0)
    write(tmp_path, part)
    known = Workspace.find(tmp_path, environ={}).rules.stages
    own = next(stage for stage in known.values() if stage.function == "answers")
    roles = {role: Output(("//m:x", role), f"{role}/") for role in ("axmodel", "model", "partition", "samples")}
    parent = Action(("//m:check", "answers"), own, asked, roles | {"data": (roles["samples"],) if data else ()})

    answers(tmp_path, tmp_path, tmp_path, [], data, tmp_path, **params_of(answers, asked))
    expansion = read_expansion(parent, (tmp_path / "expansion.json").read_bytes(), known)

    assert [child.stage.function for child in expansion.children] == stages
    assert [child.stage.float for child in expansion.children] == [stages[0] in ("follow", "given"), False]
    assert [set(child.inputs) for child in expansion.children] == inputs
    assert list(expansion.result) == ["reference/", "simulated/"]
    for child in expansion.children:
        function = getattr(importlib.import_module(child.stage.module), child.stage.function)
        assert {*child.inputs, "out", "params"} == inspect.signature(function).parameters.keys()
        params_of(function, child.params)
        if "subgraphs" in child.params:
            assert child.params["subgraphs"] == (["s"] if "sub_configs" in asked else [])


def test_a_check_of_the_rest_where_there_is_none_is_refused(tmp_path):
    write(tmp_path, PlannedSubgraph("s", NPU, ("x",), ("y",), check="equal", sub_config=0))
    with pytest.raises(NothingToCompareError, match="of a sub_config that has a check of its own"):
        answers(tmp_path, tmp_path, tmp_path, [], [], tmp_path, **params_of(answers, PARAMS | {"sub_configs": [None]}))


def write(folder, subgraph: PlannedSubgraph) -> None:
    """A partition of one subgraph, in a workspace."""
    x, y = (BoundaryTensor(name, "float32", (1, 4)) for name in "xy")
    Partition("AX650", (x,), (y,), (), (subgraph,)).write(folder)
    (folder / "axbuild.toml").touch()
