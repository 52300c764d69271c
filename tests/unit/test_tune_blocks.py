"""How a model is cut into blocks, and what a block's files hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from quantised import Net
from tune_net import residual_net

from axbuild.errors import AxWarning
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune.chain import ChainParams, chain
from axbuild.toolchain.tune.cut import NothingToTuneError
from axbuild.toolchain.tune.passes import coded_outputs, float_outputs
from axbuild.toolchain.tune.plan import BlocksError, PlannedBlock, read_plan
from tune_world import TuneWorld


def world(folder: Path, net: Net, *outputs: str) -> TuneWorld:
    return TuneWorld.of(folder, net.model(*outputs), net.samples())


def ends(blocks: list[PlannedBlock]) -> list[tuple[str, str]]:
    return [(block.first, block.last) for block in blocks]


def test_a_block_holds_no_more_weights_than_asked_for_unless_a_branch_does(tmp_path: Path) -> None:
    blocks = world(tmp_path, residual_net(), "y").cut(1)
    assert ends(blocks) == [("first", "seen"), ("wide", "sum"), ("y", "y")]
    assert [block.goes_on for block in blocks] == [("seen",), ("sum",), ()]


def test_blocks_are_as_large_as_they_may(tmp_path: Path) -> None:
    assert ends(world(tmp_path, residual_net(), "y").cut(3)) == [("first", "sum"), ("y", "y")]


def test_what_no_weight_reaches_goes_on_beside_the_one_tensor(tmp_path: Path) -> None:
    net = Net(1, 4, 6, 6)
    mask = net.input("mask", 1, 1, 6, 6)
    net.conv("x", "a", 4, 4)
    net.add("Mul", ["a", mask], "b")
    net.conv("b", "c", 4, 4)
    net.add("Mul", ["c", mask], "y")
    blocks = world(tmp_path, net, "y").cut(1)
    assert ends(blocks) == [("a", "b"), ("c", "y")]
    assert set(blocks[0].goes_on) == {"b", "mask"}


def test_an_operator_that_torch_does_not_compute_ends_a_block_and_is_told(tmp_path: Path) -> None:
    net = Net(1, 4, 6, 6)
    net.conv("x", "a", 4, 4)
    net.add("DepthToSpace", ["a"], "b", blocksize=2)
    net.conv("b", "c", 4, 1)
    net.add("Sin", ["c"], "d")
    net.add("Add", ["d", "b"], "y")
    with pytest.warns(
        AxWarning, match=r"1 operator with weights keep them as they are \('c'\): .* cannot follow .*Sin"
    ):
        blocks = world(tmp_path, net, "y").cut(4)
    assert [block.tuned for block in blocks] == [True, False]


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    net = Net(1, 4, 6, 6)
    net.add("Relu", ["x"], "y")
    with pytest.raises(NothingToTuneError, match="there is nothing in the model to fine-tune: it has no weights"):
        world(tmp_path, net, "y").cut(4)


def test_blocks_in_a_row_compute_what_the_whole_computes(tmp_path: Path) -> None:
    """In float and in exact integers, to the last bit."""
    room = world(tmp_path, residual_net(), "y")
    blocks, boundary = room.cut(1), room.begin()
    for number, block in enumerate(blocks[:-1]):
        boundary = room.carry(number, tmp_path / f"blocks/{number}/scheme.msgpack", boundary, block.goes_on)
    last = tmp_path / "blocks/2"
    inputs = {"x": np.stack([sample["x"] for sample in room.samples])}
    given = {which: {"sum": np.load(boundary / f"{which}_0.npy")} for which in ("float", "coded")}
    whole, part = ir.load(tmp_path / "optimized.onnx").graph, ir.load(last / "model.onnx").graph
    scheme = Scheme.read(last / "scheme.msgpack")
    coded = coded_outputs(part, scheme, given["coded"])["y"]
    assert np.array_equal(coded, coded_outputs(whole, room.scheme, inputs)["y"])
    floats = float_outputs(last / "model.onnx", given["float"])["y"]
    assert np.array_equal(floats, float_outputs(tmp_path / "optimized.onnx", inputs)["y"])
    assert not np.array_equal(floats, coded)


def test_a_block_owns_the_grids_that_nothing_outside_it_reads(tmp_path: Path) -> None:
    room = world(tmp_path, residual_net(), "y")
    room.cut(1)
    owners = [Scheme.read(tmp_path / f"blocks/{number}/scheme.msgpack").owners for number in range(3)]
    assert set(owners[0]) == set()
    assert set(owners[1]) == {"inner", "narrow"}
    assert set(owners[2]) == set()


def test_a_block_lists_its_operators_as_the_front_end_does(tmp_path: Path) -> None:
    world(tmp_path, residual_net(), "y").cut(1)
    assert json.loads((tmp_path / "blocks/0/operators.json").read_text()) == {"Conv": 1, "Relu": 1}
    assert len(onnx.load(tmp_path / "blocks/0/model.onnx").graph.initializer) == 2


def test_the_chain_hands_each_boundary_on(tmp_path: Path) -> None:
    room = world(tmp_path, residual_net(), "y")
    room.cut(1)
    out = room.out("chain")
    chain(tmp_path / "blocks", out, params=ChainParams("lsq", 10, 1, 1e-3))
    content = json.loads((out / "expansion.json").read_text())
    children = {child["name"]: child for child in content["children"]}
    assert list(children) == ["tune_1_of_3", "carry_0", "tune_2_of_3", "carry_1", "tune_3_of_3"]
    assert children["tune_1_of_3"]["inputs"] == {"block": "input:blocks/0/", "boundary": "input:begin"}
    assert children["carry_1"]["inputs"] == {
        "block": "input:blocks/1/",
        "scheme": "child:tune_2_of_3/scheme.msgpack",
        "boundary": "child:carry_0/boundary/",
    }
    assert children["tune_3_of_3"]["params"] == {"method": "lsq", "steps": 10, "batch": 1, "rate": 1e-3}
    assert content["result"]["2/report.json"] == "child:tune_3_of_3/report.json"


def test_a_damaged_list_of_blocks_is_told(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"format": "axbuild-blocks/1", "blocks": [{}]}')
    with pytest.raises(BlocksError, match="the list of blocks is damaged: KeyError"):
        read_plan(tmp_path / "plan.json")
