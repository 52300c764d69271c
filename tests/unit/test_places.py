"""Models that run in part on the CPU: built, checked and run from one file, at one and at several samples."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import pytest

import axbuild
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.axmodel.session import SessionError
from axbuild.toolchain.data.inputs import load_sample
from axbuild.toolchain.npu.plan.record import CPU, NPU, Partition
from axbuild.toolchain.npu.plan.split import BatchError, SplitParams, split
from chain_world import run_chain
from frontend_world import model, node, normal


def with_int64(proto, *names):
    """The model with those inputs and outputs as INT64."""
    for value in (*proto.graph.input, *proto.graph.output):
        if value.name in names:
            value.type.tensor_type.elem_type = onnx.TensorProto.INT64
    return proto


def detector():
    """A head of boxes and scores behind a convolution, and NonMaxSuppression behind both."""
    weights = {
        "w": normal(8, 3, 3, 3) / 3,
        "wb": normal(4, 8, 1, 1) / 2,
        "ws": normal(2, 8, 1, 1) / 2,
        "boxes_shape": np.array([1, 4, 16]),
        "scores_shape": np.array([1, 2, 16]),
        "most": np.array([3]),
        "overlap": np.array([0.5], np.float32),
        "least": np.array([0.3], np.float32),
    }
    nodes = [
        node("Conv", ["x", "w"], ["f"], name="trunk", strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Relu", ["f"], ["r"], name="relu"),
        node("Conv", ["r", "wb"], ["b"], name="box_head"),
        node("Reshape", ["b", "boxes_shape"], ["bt"], name="flat_boxes"),
        node("Transpose", ["bt"], ["boxes"], name="boxes", perm=[0, 2, 1]),
        node("Conv", ["r", "ws"], ["s"], name="score_head"),
        node("Reshape", ["s", "scores_shape"], ["sf"], name="flat_scores"),
        node("Softmax", ["sf"], ["scores"], name="scores", axis=1),
        node("NonMaxSuppression", ["boxes", "scores", "most", "overlap", "least"], ["selected"], name="nms"),
    ]
    made = model(nodes, weights, inputs=(("x", [1, 3, 8, 8]),), outputs=("boxes", "scores", "selected"))
    return with_int64(made, "selected")


def softsign_inside():
    """An operator without an integer form between two convolutions, and one of another branch beside it."""
    weights = {"w1": normal(6, 3, 3, 3) / 3, "w2": normal(4, 6, 1, 1) / 2, "w3": normal(4, 3, 1, 1)}
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="first", pads=[1, 1, 1, 1]),
        node("Softsign", ["a"], ["e"], name="softsign"),
        node("Conv", ["e", "w2"], ["b"], name="second"),
        node("Conv", ["x", "w3"], ["c"], name="beside"),
        node("Add", ["b", "c"], ["y"], name="join"),
    ]
    return model(nodes, weights, inputs=(("x", [1, 3, 6, 6]),))


def tagger():
    """Rows of an embedding, an LSTM over time, a projection."""
    weights = {
        "rows": normal(20, 8),
        "w": normal(1, 24, 8) / 3,
        "r": normal(1, 24, 6) / 3,
        "b": normal(1, 48) / 4,
        "axes": np.array([1]),
        "fc": normal(6, 5),
    }
    nodes = [
        node("Gather", ["rows", "ids"], ["e"], name="embed"),
        node("Transpose", ["e"], ["t"], name="time_first", perm=[1, 0, 2]),
        node("LSTM", ["t", "w", "r", "b"], ["h"], name="lstm", hidden_size=6),
        node("Squeeze", ["h", "axes"], ["s"], name="one_direction"),
        node("MatMul", ["s", "fc"], ["y"], name="tag"),
    ]
    return with_int64(model(nodes, weights, inputs=(("ids", [1, 7]),)), "ids")


def frames():
    """An LSTM that reads the model's input itself, time first."""
    weights = {"w": normal(1, 24, 8) / 3, "r": normal(1, 24, 6) / 3, "fc": normal(6, 5)}
    nodes = [
        node("LSTM", ["x", "w", "r"], ["", "last"], name="lstm", hidden_size=6),
        node("MatMul", ["last", "fc"], ["y"], name="tag"),
    ]
    return model(nodes, weights, inputs=(("x", [7, 1, 8]),))


def embedding():
    """Rows chosen by an int64 input, projected."""
    nodes = [
        node("Gather", ["rows", "ids"], ["e"], name="embed"),
        node("MatMul", ["e", "fc"], ["y"], name="project"),
    ]
    return with_int64(model(nodes, {"rows": normal(30, 8), "fc": normal(8, 4)}, inputs=(("ids", [6]),)), "ids")


def counts():
    """An output whose size depends on data, and which is no NonMaxSuppression's."""
    nodes = [
        node("Conv", ["x", "w"], ["c"], name="conv"),
        node("Relu", ["c"], ["y"], name="relu"),
        node("NonZero", ["y"], ["where"], name="nonzero"),
    ]
    made = model(nodes, {"w": normal(2, 3, 1, 1)}, inputs=(("x", [1, 3, 4, 4]),), outputs=("y", "where"))
    return with_int64(made, "where")


def reals(*shape, count=5):
    rng = np.random.default_rng(count)
    return [rng.standard_normal(shape, dtype=np.float32) for _ in range(count)]


def ids(length, top, count=5):
    rng = np.random.default_rng(count)
    return [rng.integers(0, top, (1, length)) for _ in range(count)]


MODELS = {
    "detector": (detector, {"x": reals(1, 3, 8, 8)}),
    "softsign_inside": (softsign_inside, {"x": reals(1, 3, 6, 6)}),
    "tagger": (tagger, {"ids": ids(7, 20)}),
    "frames": (frames, {"x": reals(7, 1, 8)}),
    "embedding": (embedding, {"ids": [one[0] for one in ids(6, 30)]}),
}


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    done = {}
    for name, (make, samples) in MODELS.items():
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            chain = run_chain(make(), tmp_path_factory.mktemp(name), samples, batches=(1, 2))
        done[name] = chain, [str(item.message) for item in said if "AX411" in str(item.message)]
    return done


def planned(chain):
    return Partition.read(chain.folder / "cut/partition")


@pytest.mark.parametrize("name", MODELS)
def test_every_npu_subgraph_is_equal_bit_for_bit(chains, name):
    chain, _ = chains[name]
    verdict = chain.verdict("equal")
    assert verdict["passed"] is True, verdict["sentence"]
    made = {tensor for subgraph in planned(chain).at(NPU) for tensor in subgraph.outputs}
    assert set(verdict["outputs"]) == made
    assert verdict["samples"] == 5


def feed_of(chain, numbers, axis):
    """The samples of those numbers as one batch, for a model of one input."""
    (files,) = ([folder / f"{number:03}.npy" for number in numbers] for folder in chain.samples)
    return {chain.inputs[0].name: np.concatenate([load_sample(file) for file in files], axis=axis)}


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
@pytest.mark.parametrize("name", MODELS)
def test_the_session_equals_the_reference_at_every_batch(chains, name, batch):
    chain, _ = chains[name]
    session = axbuild.InferenceSession(chain.axmodel)
    (source,) = session.source.inputs
    found = session.run(None, feed_of(chain, range(batch), source.batch_axis))
    for tensor, array in zip(session.source.outputs, found, strict=True):
        stored = [outputs.load(reference_folder(chain), f"{n:03}")[tensor.name] for n in range(batch)]
        expected = tensor.joined(stored)
        assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
        assert array.tobytes() == expected.tobytes()


def reference_folder(chain):
    places = planned(chain).at(CPU)
    return chain.folder / "reference" / ("boundaries" if places else "outputs")


def places_of(chain):
    return [(subgraph.name, subgraph.place, subgraph.together) for subgraph in planned(chain).subgraphs]


def test_subgraphs_alternate_and_independent_operators_share_one(chains):
    assert places_of(chains["softsign_inside"][0]) == [
        ("subgraph_npu_0", "NPU", True),
        ("subgraph_cpu_0", "CPU", False),
        ("subgraph_npu_1", "NPU", True),
    ]
    first = planned(chains["softsign_inside"][0]).subgraphs[0]
    assert [node.name for node in first.nodes] == ["first", "beside"]
    assert places_of(chains["detector"][0]) == [("subgraph_npu_0", "NPU", True), ("subgraph_cpu_0", "CPU", False)]
    assert places_of(chains["frames"][0]) == [("subgraph_cpu_0", "CPU", False), ("subgraph_npu_0", "NPU", False)]
    assert places_of(chains["embedding"][0]) == [("subgraph_npu_0", "NPU", True)]


def test_the_build_says_what_runs_on_the_cpu_and_why(chains):
    assert chains["softsign_inside"][1] == [
        "warning AX411: 1 of 5 operators on the CPU of AX650: 'softsign' (Softsign): Softsign has no integer form"
    ]
    assert chains["detector"][1] == [
        "warning AX411: 1 of 9 operators on the CPU of AX650: 'nms' (NonMaxSuppression): "
        "NonMaxSuppression has no integer form: how much it keeps depends on data"
    ]
    assert chains["embedding"][1] == []
    (lstm,) = planned(chains["tagger"][0]).on_cpu
    assert (lstm.name, lstm.op_type, lstm.nodes) == ("lstm", "LSTM", ("lstm",))


def test_a_cpu_subgraph_is_a_file_of_the_float_model_s_own_names(chains):
    file = onnx.load(chains["detector"][0].folder / "cut/partition/subgraph_cpu_0.onnx")
    onnx.checker.check_model(file)
    assert [value.name for value in file.graph.input] == ["boxes", "scores"]
    assert [value.name for value in file.graph.output] == ["selected"]
    assert [(one.name, one.op_type) for one in file.graph.node] == [("nms", "NonMaxSuppression")]


def test_samples_are_counted_on_in_the_indices_that_are_joined(chains):
    chain, _ = chains["detector"]
    session = axbuild.InferenceSession(chain.axmodel)
    selected = session.run(["selected"], feed_of(chain, range(5), 0))[0]
    assert sorted(set(selected[:, 0])) == [0, 1, 2, 3, 4]
    alone = [session.run(["selected"], feed_of(chain, [n], 0))[0] for n in range(5)]
    assert [len(one) for one in alone] == [int((selected[:, 0] == n).sum()) for n in range(5)]
    assert all((one[:, 0] == 0).all() for one in alone)


def test_time_stays_time_where_an_lstm_reads_the_input(chains):
    session = axbuild.InferenceSession(chains["frames"][0].axmodel)
    assert [(item.name, item.shape) for item in session.get_inputs()] == [("x", [7, 1, 8])]
    two = session.run(None, {"x": np.zeros((7, 2, 8), np.float32)})[0]
    with pytest.raises(SessionError, match=r"input 'x' must have the shape \[7, n, 8\], and \[14, 1, 8\] was given"):
        session.run(None, {"x": np.zeros((14, 1, 8), np.float32)})
    assert two.shape == (1, 2, 5)


def test_an_index_that_the_npu_does_not_hold_is_refused(chains):
    session = axbuild.InferenceSession(chains["embedding"][0].axmodel)
    assert [(item.name, item.type) for item in session.get_inputs()] == [("ids", "tensor(int64)")]
    far = np.full(6, 1 << 40)
    with pytest.raises(SessionError, match="'ids' holds 1099511627776, beyond what the NPU holds of int64"):
        session.run(None, {"ids": far})


@pytest.mark.filterwarnings("ignore::axbuild.errors.AxWarning")
def test_answers_of_a_size_that_depends_on_data_are_given_one_by_one(tmp_path):
    chain = run_chain(counts(), tmp_path, {"x": reals(1, 3, 4, 4)})
    assert chain.verdict()["passed"] is True
    session = axbuild.InferenceSession(chain.axmodel)
    y, where = session.run(None, feed_of(chain, [0], 0))
    assert np.array_equal(np.stack(np.nonzero(y)), where)
    with pytest.raises(SessionError, match="output 'where' of several samples cannot be joined"):
        session.run(None, feed_of(chain, [0, 1], 0))
    with pytest.raises(BatchError) as caught:
        split(tmp_path / "cut/partition", [], tmp_path, params=SplitParams({}, {}, (1, 2)))
    assert caught.value.code == "AX403"
    assert caught.value.sentence == (
        "Output 'where' of 'nonzero' has a size that depends on data, so that the answers of 2 samples cannot be "
        "joined."
    )
