"""Shape groups: one model at two input shapes in one file, on the scales and weights of its own shape."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

import axbuild
from axbuild.toolchain.axmodel.read import read
from axbuild.toolchain.axmodel.session import SessionError
from axbuild.toolchain.npu.plan.record import CPU, NPU, Partition
from axbuild.toolchain.npu.program.decode import decode
from frontend_world import model, node, normal
from shape_world import two_groups

SIZES = {"own": (1, 3, 12, 12), "other": (1, 3, 20, 16)}


def small_net(shape=SIZES["own"]):
    """A residual, an average pool whose divisors differ at the edge, and one over everything, as ResNets end."""
    return model(
        [
            node("Conv", ["data", "w1", "b1"], ["c1"], name="conv1", strides=[2, 2], pads=[1, 1, 1, 1]),
            node("Relu", ["c1"], ["x"], name="relu1"),
            node("Conv", ["x", "w2", "b2"], ["x_1"], name="conv2", pads=[1, 1, 1, 1]),
            node("Add", ["x_1", "x"], ["s"], name="add"),
            node("AveragePool", ["s"], ["a"], name="pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
            node("Elu", ["a"], ["e"], name="elu"),
            node("GlobalAveragePool", ["e"], ["g"], name="gap"),
            node("Reshape", ["g", "flat"], ["f"], name="flatten"),
            node("Gemm", ["f", "w3", "b3"], ["prob"], name="fc", transB=1),
        ],
        {
            **{"w1": normal(8, 3, 3, 3), "b1": normal(8), "w2": normal(8, 8, 3, 3), "b2": normal(8, 1)[:, 0]},
            **{"w3": normal(10, 8), "b3": normal(10), "flat": np.array([1, 8])},
        },
        inputs=(("data", list(shape)),),
        outputs=("prob",),
    )


def samples(size, count=5):
    rng = np.random.default_rng(3)
    return {"data": [rng.normal(size=SIZES[size]).astype(np.float32) for _ in range(count)]}


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    return two_groups(small_net(), folder, samples("own"), {"data": SIZES["other"]}, batches=(1, 2))


def test_every_group_is_its_definition_to_the_last_bit_at_every_batch(groups):
    assert groups.differing(samples("own"), 0) == (50, 0)
    assert groups.differing(samples("other"), 1) == (50, 0)


def test_what_is_inside_a_group_is_too(groups):
    elements, differing = groups.differing(samples("other"), 1, layers=True)
    assert elements > 5 * (8 * 10 * 8)
    assert differing == 0


@pytest.mark.parametrize(("chip", "mode"), [("AX650", "NPU3"), ("AX620E", "NPU2"), ("M57", "NPU1")])
def test_groups_with_an_operator_on_the_cpu_are_exact_on_other_chips_too(tmp_path, chip, mode):
    found = two_groups(
        *(small_net(), tmp_path, samples("own", 2), {"data": SIZES["other"]}),
        **{"chip": chip, "mode": mode, "lacking": ("Elu",), "batches": (1, 2)},
    )
    assert [part.place for part in Partition.read(found.partition).subgraphs] == [NPU, CPU, NPU]
    for number, size in enumerate(SIZES):
        elements, differing = found.differing(samples(size, 3), number)
        assert elements > 30
        assert differing == 0


def test_a_group_has_inputs_outputs_and_a_node_of_its_own(groups):
    session = axbuild.InferenceSession(groups.axmodel)
    assert [(item.name, item.shape) for item in session.get_inputs()] == [("data", [2, 3, 12, 12])]
    assert [(item.name, item.shape) for item in session.get_inputs(1)] == [("data_1", [2, 3, 20, 16])]
    assert [item.name for item in (*session.get_outputs(), *session.get_outputs(1))] == ["prob", "prob_1"]
    nodes = onnx.load(groups.axmodel).graph.node
    assert [(one.op_type, one.name, list(one.input), list(one.output)) for one in nodes] == [
        ("neu mode", "subgraph_npu_0", ["data"], ["prob"]),
        ("neu mode", "subgraph_npu_0_1", ["data_1"], ["prob_1"]),
    ]
    assert [next(a.i for a in one.attribute if a.name == "shape_group") for one in nodes] == [0, 1]


def test_a_batch_of_a_group_is_its_samples_one_by_one(groups):
    session, given = axbuild.InferenceSession(groups.axmodel), samples("other", 3)["data"]
    together = session.run(None, {"data_1": np.concatenate(given)}, shape_group=1)[0]
    alone = [session.run(None, {"data_1": one}, shape_group=1)[0] for one in given]
    assert np.array_equal(together, np.concatenate(alone))
    with pytest.raises(SessionError, match=r"input 'data_1' must have the shape \[n, 3, 20, 16\]"):
        session.run(None, {"data_1": samples("own")["data"][0]}, shape_group=1)


def test_groups_share_every_record_of_quantisation(groups):
    own, other = (
        json.loads(file.with_suffix(".json").read_text())
        for file in (groups.own.folder / "quant/quant_axmodel.onnx", groups.quant)
    )
    assert own == other
    assert len(own) > 5


def test_groups_share_weights_so_that_the_file_is_much_smaller_than_two(groups):
    both, one = read(groups.axmodel.read_bytes()), read(groups.own.axmodel.read_bytes())
    weights = 8 * 3 * 9 + 8 * 8 * 9 + 10 * 8
    assert len(one.params) > weights
    assert len(both.params) - len(one.params) < weights / 4
    programs = [decode(program) for part in both.on_npu() for program in part.programs.values()]
    shared = set.intersection(*({blob.digest for blob in program.blobs} for program in programs))
    assert sum(blob.size for blob in programs[0].blobs if blob.digest in shared) > weights


def test_the_other_group_answers_as_the_float_model_does_there(groups):
    session, float_model = axbuild.InferenceSession(groups.axmodel), small_net(SIZES["other"]).SerializeToString()
    truth = onnxruntime.InferenceSession(float_model, providers=["CPUExecutionProvider"])
    for one in samples("other")["data"]:
        found, wanted = session.run(None, {"data_1": one}, shape_group=1)[0], truth.run(None, {"data": one})[0]
        assert np.sum(found * wanted) / np.linalg.norm(found) / np.linalg.norm(wanted) > 0.99


def test_divisors_are_those_of_the_groups_own_size(groups):
    found = []
    for file in (groups.own.folder / "quant/quant_axmodel.onnx", groups.quant):
        constants = {item.name: numpy_helper.to_array(item) for item in onnx.load(file).graph.initializer}
        found.append(constants["pool.multiplier"])
    assert [array.shape for array in found] == [(3, 3), (5, 4)]
    assert [array[0, 0] > array[1, 1] for array in found] == [True, True]


def test_a_name_that_another_tensor_has_goes_on_counting(tmp_path):
    net = model(
        [node("Relu", ["x"], ["y"], name="a"), node("Sigmoid", ["x_1"], ["y_1"], name="b")],
        inputs=(("x", [1, 4]), ("x_1", [1, 4])),
        outputs=("y", "y_1"),
    )
    given = {name: [normal(1, 4)] for name in ("x", "x_1")}
    found = two_groups(net, tmp_path, given, {"x": (1, 6)})
    session = axbuild.InferenceSession(found.axmodel)
    assert [item.name for item in session.get_inputs()] == ["x", "x_1"]
    assert [(item.name, item.shape) for item in session.get_inputs(1)] == [("x_1_1", [1, 6]), ("x_1_1_1", [1, 4])]
    assert found.differing({"x": [normal(1, 6)], "x_1": [normal(1, 4)]}, 1) == (10, 0)
