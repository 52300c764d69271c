"""Small nets through every stage: compiled equals quantised bit for bit, and follows the float model."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import axbuild
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.data.inputs import load_sample, paired, tensor_input
from axbuild.toolchain.likeness import cosine_of
from chain_world import float_outputs, run_chain
from frontend_world import LIGHT, model, node, normal, with_random_weights


def residual_net():
    """Pad, Conv, BatchNormalization, Clip, depthwise and dilated Conv, Add, pooling, Concat, Gemm, Softmax."""
    weights = {
        "p": np.array([0, 0, 0, 0, 0, 0, 1, 1]),
        "w1": normal(8, 3, 3, 3) / 3,
        **{name: np.abs(normal(8)) + np.float32(0.5) for name in ("gamma", "beta", "mean", "var")},
        "lo": np.float32(0),
        "hi": np.float32(6),
        "w2": normal(8, 1, 3, 3) / 2,
        "w3": normal(8, 8, 1, 1) / 2,
        "b3": normal(8),
        "w4": normal(8, 4, 3, 3) / 4,
        "shape": np.array([-1, 16]),
        "fc": normal(16, 5),
    }
    nodes = [
        node("Pad", ["x", "p"], ["x0"], name="pad"),
        node("Conv", ["x0", "w1"], ["c1"], name="conv1", strides=[2, 2]),
        node("BatchNormalization", ["c1", "gamma", "beta", "mean", "var"], ["n1"], name="bn1"),
        node("Clip", ["n1", "lo", "hi"], ["r1"], name="relu6"),
        node("Conv", ["r1", "w2"], ["c2"], name="depthwise", group=8, pads=[1, 1, 1, 1]),
        node("Relu", ["c2"], ["r2"], name="relu"),
        node("Conv", ["r2", "w3", "b3"], ["c3"], name="project"),
        node("Add", ["c3", "r1"], ["a"], name="add"),
        node("Conv", ["a", "w4"], ["c4"], name="grouped", group=2, dilations=[2, 2], pads=[2, 2, 2, 2]),
        node("MaxPool", ["c4"], ["m"], name="max", kernel_shape=[2, 2], strides=[2, 2]),
        node(
            "AveragePool",
            ["a"],
            ["v"],
            name="average",
            kernel_shape=[3, 3],
            strides=[2, 2],
            pads=[1, 1, 0, 0],
            count_include_pad=1,
        ),
        node("Concat", ["m", "v"], ["j"], name="join", axis=1),
        node("GlobalAveragePool", ["j"], ["g"], name="pool"),
        node("Reshape", ["g", "shape"], ["f"], name="flat"),
        node("Gemm", ["f", "fc"], ["logits"], name="fc"),
        node("Softmax", ["logits"], ["y"], name="softmax", axis=1),
    ]
    return model(nodes, weights, inputs=(("x", ["N", 3, 16, 16]),), outputs=("logits", "y"))


def mlp():
    weights = {"w1": normal(12, 16) / 4, "b1": normal(16), "w2": normal(16, 4) / 4}
    nodes = [
        node("MatMul", ["x", "w1"], ["h"], name="hidden"),
        node("Add", ["h", "b1"], ["hb"], name="bias"),
        node("Relu", ["hb"], ["r"], name="relu"),
        node("MatMul", ["r", "w2"], ["y"], name="out"),
    ]
    return model(nodes, weights, inputs=(("x", [1, 12]),))


def two_inputs():
    nodes = [
        node("Conv", ["left", "w"], ["a"], name="conv", pads=[1, 1, 1, 1]),
        node("Add", ["a", "right"], ["s"], name="add"),
        node("Transpose", ["s"], ["y"], name="turn", perm=[0, 2, 3, 1]),
    ]
    return model(nodes, {"w": normal(4, 3, 3, 3)}, inputs=(("left", [1, 3, 6, 6]), ("right", [1, 4, 6, 6])))


def pictures(count, size=16):
    rng = np.random.default_rng(count)
    return [rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(count)]


@pytest.fixture(scope="module")
def residual(tmp_path_factory):
    """Pictures as U8 NHWC, normalised on the NPU, at batches 1, 2 and 4."""
    settings = {"mean": (103.9, 116.8, 123.7), "std": (58.0, 57.0, 59.0), "source": "U8", "layout": "NHWC"}
    folder = tmp_path_factory.mktemp("residual")
    return run_chain(residual_net(), folder, {"x": pictures(20)}, images=("x",), batches=(1, 2, 4), **settings)


def test_a_residual_net_is_equal_bit_for_bit_at_every_batch(residual):
    verdict = residual.verdict("equal")
    assert verdict["sentence"] == "200 elements of 2 outputs on 20 samples: equal bit for bit"
    assert verdict["passed"] is True
    assert residual.verdict("close")["passed"] is True
    assert residual.verdict("cosine")["passed"] is True


def test_the_reference_has_the_same_bits_with_optimisation_on(residual):
    plain = residual.reference_outputs(optimized=False)
    optimised = residual.reference_outputs(optimized=True)
    stored = {name: outputs.load(residual.folder / "reference/outputs", name) for name in plain}
    for name, tensors in plain.items():
        for tensor, array in tensors.items():
            assert array.tobytes() == optimised[name][tensor].tobytes() == stored[name][tensor].tobytes()


def test_the_session_takes_pictures_as_the_source_has_them(residual):
    session = axbuild.InferenceSession(residual.axmodel)
    assert [(item.name, item.shape, item.type) for item in session.get_inputs()] == [
        ("x", [4, 16, 16, 3], "tensor(uint8)")
    ]
    batch = np.stack(pictures(20))[:9]
    logits, scores = session.run(None, {"x": batch})
    assert (logits.shape, scores.shape) == ((9, 5), (9, 5))
    for number in range(9):
        stored = outputs.load(residual.folder / "simulated/outputs", f"{number:03}")
        assert np.array_equal(stored["logits"], logits[number : number + 1])


def test_the_compiled_net_follows_the_float_one(residual):
    assert mean_cosine(residual, residual_net(), "logits") > 0.99


def mean_cosine(chain, proto, tensor):
    """Cosine of simulated and float outputs over all samples together."""
    index = [value.name for value in proto.graph.output].index(tensor)
    ours, theirs = [], []
    for name, files in paired(chain.samples, chain.inputs):
        pairs = zip(chain.inputs, files, strict=True)
        feed = {data.name: tensor_input(load_sample(file), data) for data, file in pairs}
        theirs.append(float_outputs(proto, feed)[index])
        ours.append(outputs.load(chain.folder / "simulated/outputs", name)[tensor])
    return cosine_of(np.stack(ours), np.stack(theirs))


@pytest.mark.parametrize(("source", "layout"), [("FP32", "NCHW"), ("FP32", "NHWC"), ("U8", "NCHW")])
def test_every_form_of_the_source_gives_the_same_codes(tmp_path, residual, source, layout):
    settings = {"mean": (103.9, 116.8, 123.7), "std": (58.0, 57.0, 59.0), "source": source, "layout": layout}
    chain = run_chain(residual_net(), tmp_path, {"x": pictures(20)}, images=("x",), **settings)
    assert chain.verdict()["passed"] is True
    for name in outputs.samples(tmp_path / "simulated/outputs"):
        ours = outputs.load(tmp_path / "simulated/outputs", name)
        theirs = outputs.load(residual.folder / "simulated/outputs", name)
        assert all(np.array_equal(ours[key], theirs[key]) for key in ours)


def test_a_perceptron_on_numpy_data_is_equal_bit_for_bit(tmp_path):
    rng = np.random.default_rng(5)
    samples = {"x": [rng.standard_normal((1, 12), dtype=np.float32) for _ in range(20)]}
    chain = run_chain(mlp(), tmp_path, samples, batches=(1, 4))
    assert chain.verdict()["passed"] is True
    assert chain.verdict()["elements"] == 80
    assert mean_cosine(chain, mlp(), "y") > 0.99


def test_two_inputs_are_paired_and_equal_bit_for_bit(tmp_path):
    rng = np.random.default_rng(6)
    samples = {
        "left": [rng.standard_normal((1, 3, 6, 6), dtype=np.float32) for _ in range(8)],
        "right": [rng.standard_normal((1, 4, 6, 6), dtype=np.float32) for _ in range(8)],
    }
    chain = run_chain(two_inputs(), tmp_path, samples, batches=(1, 2))
    assert chain.verdict()["passed"] is True
    assert mean_cosine(chain, two_inputs(), "y") > 0.99


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet"])
def test_a_published_topology_is_equal_bit_for_bit(tmp_path, name):
    proto = with_random_weights(onnx.load(LIGHT / f"light_{name}.onnx"))
    weights = {tensor.name for tensor in proto.graph.initializer}
    (source,) = (value.name for value in proto.graph.input if value.name not in weights)
    settings = {"mean": (120.0,) * 3, "std": (58.0,) * 3, "source": "U8", "layout": "NHWC"}
    chain = run_chain(proto, tmp_path, {source: pictures(2, 224)}, images=(source,), **settings)
    verdict = chain.verdict()
    assert (verdict["passed"], verdict["differing"], verdict["samples"]) == (True, 0, 2)


def test_two_builds_of_one_model_are_byte_identical(tmp_path):
    rng = np.random.default_rng(5)
    samples = {"x": [rng.standard_normal((1, 12), dtype=np.float32) for _ in range(4)]}
    first, second = (run_chain(mlp(), tmp_path / name, samples) for name in ("a", "b"))
    assert first.axmodel.read_bytes() == second.axmodel.read_bytes()
