"""`src_extra_shapes` in a workspace: what is built for it, what is not, and what comes out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from tune_net import residual_net

from net_workspace import AXMODEL, CHECK, QUANT, net_workspace
from zoo_workspace import Outcome, Zoo

EXTRA = "src_extra_shapes = [{ x = [1, 3, 12, 10] }]\n"
AXMODEL += "static_batch_sizes = [1, 2]\n" + EXTRA
PICTURES = 'input_processors = [{ src_dtype = "U8", src_layout = "NHWC" }]\n'
BY_HAND = "".join(
    f'[[npu_subgraph]]\nname = "{name}_b{batch}"\nquant = ":quant"\nbatch = {batch}\n{shapes}{PICTURES}'
    for name, shapes in (("own", ""), ("other", "shapes = { x = [1, 3, 12, 10] }\n"))
    for batch in (1, 2)
)
BY_HAND += """[[axmodel]]
name = "by_hand"
subgraphs = [":other_b1", ":own_b1", ":own_b2", ":other_b2"]
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Zoo, Outcome]:
    build = QUANT.replace('format = "Numpy"', "mean = [127.5]\nstd = [60.0]") + AXMODEL + PICTURES + CHECK + BY_HAND
    zoo = net_workspace(tmp_path_factory.mktemp("groups") / "workspace", build, residual_net().model("y"), ())
    rng = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(zoo.root / f"m/samples/{number}.png")
    return zoo, zoo.build("//m:check")


def test_a_check_judges_every_group_and_says_what_it_ran_on(built: tuple[Zoo, Outcome]) -> None:
    said = {e["sentence"]: e["passed"] for e in built[1].events if e["event"] == "test_result"}
    assert said == {
        "1920 elements of 1 output on 3 samples: equal bit for bit": True,
        "shape group 1 (x 1x3x12x10; on the pictures at that size): "
        "3600 elements of 'y' (float32 [1, 10, 12, 10]) on 3 samples: equal bit for bit": True,
    }


def test_group_index_runs_that_group(built: tuple[Zoo, Outcome]) -> None:
    done = built[0].run("run", "//m:axmodel", "--input", "m/samples", "--group_index", "1", "--json")
    found = json.loads(done.out)
    outputs = [output for one in found["samples"] for output in one["outputs"]]
    assert [(one["name"], one["shape"]) for one in outputs] == [("y_1", [1, 10, 12, 10])] * 3
    assert found["batches"] == [2]


def test_groups_spelled_out_are_the_same_file_and_compile_nothing_again(built: tuple[Zoo, Outcome]) -> None:
    executed = built[0].build("//m:by_hand", "//m:axmodel").executed
    assert set(executed) <= {"split", "preflight", "fuse"}
    files = [built[0].root / f"axbuild-out/m/{name}/compiled.axmodel" for name in ("axmodel", "by_hand")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_one_more_group_compiles_that_group_and_fuses(built: tuple[Zoo, Outcome]) -> None:
    zoo = built[0]
    with zoo.edited("m/BUILD.toml", EXTRA, EXTRA.replace("}]", "}, { x = [1, 3, 8, 16] }]")):
        executed = zoo.build("//m:axmodel").executed
        found = json.loads(zoo.run("inspect", "axbuild-out/m/axmodel/compiled.axmodel", "--json").out)
    group = ["optimize_at", "quantize_at", "preflight", "partition", "split", "compile_subgraph", "compile_subgraph"]
    assert sorted(executed) == sorted([*group, "fuse"])
    assert [one["inputs"] for one in found["shape_groups"]] == [["x"], ["x_1"], ["x_2"]]
    assert [one["shape"] for one in found["inputs"]] == [[1, 8, 8, 3], [1, 12, 10, 3], [1, 8, 16, 3]]


def test_reshapes_that_stay_as_they_are_partition_again_and_compile_nothing(built: tuple[Zoo, Outcome]) -> None:
    with built[0].edited("m/BUILD.toml", EXTRA, EXTRA + "disable_ir_fix = true\n"):
        assert set(built[0].build("//m:axmodel").executed) == {"partition"}
