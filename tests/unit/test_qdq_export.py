"""A scheme as a plain QDQ model: valid, near to the exact integers, and read back with the same scales."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from qdq_world import adopted, plain_run
from quantised import Net, loaded, ort_session, quantised, sqnr

from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.qdq.export import exported
from axbuild.toolchain.quant.precision import LayerConfig

pytestmark = pytest.mark.filterwarnings("ignore::axbuild.errors.AxWarning")
WHOLE = {"start_tensor_names": ("DEFAULT",), "end_tensor_names": ("DEFAULT",)}


def every_weight(groups: int = 2) -> Net:
    n = Net(1, 3, 12, 12)
    n.conv("x", "stem", 8, 3, 3, pads=[1] * 4)
    n.add("Add", ["stem", n.weight("more", 1, 8, 1, 1)], "biased")
    n.add("Relu", ["biased"], "stem_r")
    n.conv("stem_r", "deep", 8, 8, 3, pads=[1] * 4, group=8)
    n.add("HardSwish", ["deep"], "swish")
    n.add("ConvTranspose", ["swish", n.weight("t", 8, 6, 2, 2)], "up", strides=[2, 2], kernel_shape=[2, 2])
    n.add("ConvTranspose", ["up", n.weight("g", 6, 4 // groups, 1, 1)], "grouped", group=groups, kernel_shape=[1, 1])
    n.add("GlobalAveragePool", ["grouped"], "mean")
    n.add("Flatten", ["mean"], "flat")
    n.add("Gemm", ["flat", n.weight("w", 4, 10), n.weight("b", 10)], "scores")
    n.add("MatMul", ["scores", n.weight("m", 10, 5)], "y")
    return n


RULES = {
    "as it is": (),
    "16 bits": (LayerConfig(**WHOLE, data_type="U16"),),
    "4-bit weights": (LayerConfig(**WHOLE, weight_data_type="S4"),),
    "FP32 in between": (LayerConfig(op_type="GlobalAveragePool", data_type="FP32"),),
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_it_is_valid_and_answers_as_the_exact_integers_do(rules):
    net = every_weight()
    model, samples = net.model("y"), net.samples(6)
    exact = quantised(model, samples, rules=rules)
    written = exported(loaded(model).graph, exact.scheme)
    onnx.checker.check_model(written, full_check=True)
    ours = np.stack([exact.run(feeds)[0] for feeds in samples])
    fused = ort_session(written.SerializeToString())
    for run in (lambda feeds: plain_run(written, feeds), lambda feeds: fused.run(None, feeds)):
        assert sqnr(ours, np.stack([run(feeds)[0] for feeds in samples])) > 30


@pytest.mark.parametrize("how", ["as it is", "4-bit weights"])
def test_read_back_it_has_the_same_scales_and_codes(how):
    net = every_weight(groups=1)
    model, samples = net.model("y"), net.samples(6)
    exact = quantised(model, samples, rules=RULES[how])
    back = adopted(exported(loaded(model).graph, exact.scheme)).scheme
    before, after = (
        {(edge.scale, edge.zero, edge.type) for site in scheme.sites for edge in site.writes.values() if _coded(edge)}
        for scheme in (exact.scheme, back)
    )
    assert before == after
    weights, again = ([s.weight for s in scheme.sites if s.weight is not None] for scheme in (exact.scheme, back))
    for own, other in zip(weights, again, strict=True):
        assert own.type == other.type
        np.testing.assert_array_equal(own.codes.ravel(), other.codes.ravel())
        np.testing.assert_allclose(own.scale, other.scale, rtol=1e-6)
        np.testing.assert_array_equal(own.bias, other.bias)


def _coded(edge: object) -> bool:
    return isinstance(edge, Grid)


def test_the_same_scheme_is_the_same_bytes():
    net = every_weight()
    model = net.model("y")
    scheme = quantised(model, net.samples(2)).scheme
    made = [exported(loaded(model).graph, scheme).SerializeToString(deterministic=True) for _ in range(2)]
    assert made[0] == made[1]
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "qdq.onnx").write_bytes(made[0])
        assert onnx.load(Path(name) / "qdq.onnx").producer_name == "axbuild"
