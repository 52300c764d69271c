"""The shape of a Reshape at several batches: dim 0 follows the samples, unless the user's own shape says otherwise."""

from __future__ import annotations

import json

import numpy as np
import pytest
from npu_world import CHIPS

import axbuild
from axbuild.toolchain.npu.chips.records import Support
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.record import Partition
from axbuild.toolchain.npu.plan.split import BatchError, SplitParams, split
from axbuild.toolchain.npu.plan.sub_configs import SubConfig
from chain_world import run_chain
from frontend_world import model, node, normal


def reshaping(given, shape):
    """x of one sample through a Reshape to `shape`, and a table behind it."""
    return model(
        [node("Reshape", ["x", "shape"], ["r"], name="reshape"), node("Sigmoid", ["r"], ["y"], name="act")],
        {"shape": np.array(shape)},
        inputs=(("x", list(given)),),
    )


SHAPES = [
    ((1, 4608), (1, 96, 48), (2, 96, 48)),
    ((1, 96, 48), (0, 48, 96), (2, 48, 96)),
    ((1, 96, 48), (-1, 4608), (2, 4608)),
    ((1, 4, 6), (-1, 6), (8, 6)),
    ((1, 128), (2, 1, 64), (4, 1, 64)),
    ((1, 128), (2, -1, 64), (2, 2, 64)),
    ((1, 1, 128), (2, 0, 64), (2, 2, 64)),
    ((1, 12, 8, 4), (1, -1, 32), (2, 12, 32)),
]
"""(shape of x, shape as the user wrote it, what two samples are)"""


@pytest.mark.parametrize(("given", "written", "two"), SHAPES, ids=[str(written) for _, written, _ in SHAPES])
def test_two_samples_have_the_shape_that_the_user_means_and_are_what_each_is_alone(tmp_path, given, written, two):
    samples = [normal(*given) for _ in range(3)]
    chain = run_chain(reshaping(given, written), tmp_path, {"x": samples}, batches=(1, 2))
    assert chain.verdict()["differing"] == 0
    session = axbuild.InferenceSession(chain.axmodel)
    together = session.run(None, {"x": np.concatenate(samples[:2])})[0]
    alone = [session.run(None, {"x": one})[0] for one in samples[:2]]
    assert together.shape == two
    (axis,) = (place for place, size in enumerate(two) if size != alone[0].shape[place])
    assert np.array_equal(together, np.concatenate(alone, axis=axis))


@pytest.mark.parametrize("written", [(1, 96, 48), (2, 1, 2304)])
def test_disable_ir_fix_keeps_the_number_so_that_one_batch_is_left(tmp_path, written):
    run_chain(reshaping((1, 4608), written), tmp_path, {"x": [normal(1, 4608)]})
    with pytest.raises(BatchError) as caught:
        split_up(tmp_path, (1, 2))
    assert caught.value.sentence == (
        f"Reshape 'reshape' makes the shape {list(written)}, of one batch, and disable_ir_fix keeps it, so that the "
        "answers of 2 samples cannot be joined."
    )
    split_up(tmp_path, (1,))


@pytest.mark.parametrize("written", [(-1, 96, 48), (0, 96, 48)])
def test_disable_ir_fix_asks_nothing_of_a_shape_that_has_no_number_there(tmp_path, written):
    run_chain(reshaping((1, 96, 48), written), tmp_path, {"x": [normal(1, 96, 48)]})
    split_up(tmp_path, (1, 2))


def test_a_part_that_keeps_its_shapes_takes_one_sample_at_a_time_beside_others_on_several(tmp_path):
    parts = (SubConfig(("c",), ("y",)),)
    whole = {"disable_ir_fix": False, "sub_configs": parts, "sub_disable_ir_fix": (True,)}
    run_chain(seed_net(), tmp_path, {"x": [normal(1, 3, 24, 24)]})
    with pytest.raises(BatchError) as caught:
        split_up(tmp_path, (1, 2), **whole)
    assert caught.value.sentence.startswith(
        "Reshape 'reshape_0' makes the shape [1, 96, 48], of one batch, and disable_"
    )
    assert caught.value.hint == "static_batch_sizes = [1] in sub_configs[0] gives that part one sample at a time"
    done = json.loads(split_up(tmp_path, (1, 2), ((1,),), **whole).read_text())
    assert [child["name"] for child in done["children"]] == ["compile_0_b1", "compile_0_b2", "compile_1_b1"]
    assert {name.rpartition("/")[0] for name in done["result"]} == {
        "subgraph_npu_0/b1",
        "subgraph_npu_0/b2",
        "subgraph_npu_1/b1",
    }
    split_up(tmp_path, (1, 2), **whole | {"disable_ir_fix": True, "sub_disable_ir_fix": (False,)})


def split_up(folder, batches, sub_batches=(), **own):
    """The partition with disable_ir_fix, and the compilations that it takes: expansion.json."""
    preset = CHIPS["AX650"].preset("NPU1")
    support = Support("AX650", CHIPS["AX650"].operators, preset.memory)
    params = PartitionParams(support, (), **{"disable_ir_fix": True} | own)
    out = folder / f"as_written_{len(list(folder.iterdir()))}"
    out.mkdir()
    partition(folder / "quant/quant_axmodel.onnx", folder / "float/out/optimized", out, params=params)
    split(out / "partition", [], out, params=SplitParams({}, {}, batches, ({},) * len(sub_batches), sub_batches))
    return out / "expansion.json"


def seed_net():
    """A convolution in front of the seed's Reshape to [1, 96, 48]."""
    return model(
        [
            node("Conv", ["x", "w"], ["c"], name="conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("Reshape", ["c", "shape"], ["r"], name="reshape_0"),
            node("Softmax", ["r"], ["y"], name="soft", axis=-1),
        ],
        {"w": normal(8, 3, 3, 3), "shape": np.array([1, 96, 48])},
        inputs=(("x", [1, 3, 24, 24]),),
    )


def test_the_seeds_reshape_runs_two_samples_in_one_program(tmp_path):
    chain = run_chain(seed_net(), tmp_path, {"x": [normal(1, 3, 24, 24)] * 3}, batches=(1, 2))
    assert [part.together for part in Partition.read(tmp_path / "cut/partition").subgraphs] == [True]
    assert axbuild.InferenceSession(chain.axmodel).get_outputs()[0].shape == [2, 96, 48]
    assert chain.verdict()["differing"] == 0


@pytest.mark.parametrize("count", [3, 9])
def test_the_seeds_batches_are_split_and_answer_as_samples_one_by_one(seeds, count):
    rng = np.random.default_rng(count)
    samples = [rng.normal(size=(1, 3, 24, 24)).astype(np.float32) for _ in range(count)]
    together = seeds.run(None, {"x": np.concatenate(samples)})[0]
    assert np.array_equal(together, np.concatenate([seeds.run(None, {"x": one})[0] for one in samples]))


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    return axbuild.InferenceSession(
        run_chain(seed_net(), folder, {"x": [normal(1, 3, 24, 24)]}, batches=(1, 2, 4)).axmodel
    )
