"""Operators that chips list and ONNX does not define are read by name, in whatever domain they stand."""

from __future__ import annotations

import math

import numpy as np
import onnx
import pytest
from compiled import compiled
from npu_world import support_of
from onnx import helper
from quantised import float_run, loaded, quantised

from axbuild.toolchain.frontend.load import load
from axbuild.toolchain.frontend.optimize import OptimizeParams, simplify
from axbuild.toolchain.frontend.support import UnsupportedModelError
from axbuild.toolchain.kinds.codes import type_named
from axbuild.toolchain.named import DOMAIN, NAMED
from axbuild.toolchain.npu.chips.support import is_of_onnx, refusals
from axbuild.toolchain.npu.plan.floats import FloatGraph
from axbuild.toolchain.ops.fused import without_integer_form
from axbuild.toolchain.ops.registry import all_ops
from frontend_world import model, node, op_types, place

GIVEN = {"eps": 0.001, "alpha": 1.5}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def logit(x, eps):
    inside = np.clip(x, 0, 1)
    return np.log(np.maximum(inside, eps) / np.maximum(1 - inside, eps))


WANTED = {
    "Gelu": lambda x: x / 2 * (1 + np.vectorize(math.erf)(x / np.sqrt(2))),
    "HardSwish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "InverseSigmoid": lambda x: logit(x, 0.001),
    "Mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "Silu": lambda x: x * sigmoid(x),
    "Swish": lambda x: x * sigmoid(1.5 * x),
}


def named(op_type, domain="custom", opset=13, **attributes):
    given = node(op_type, ["x"], ["y"], name="n", domain=domain, **attributes)
    made = model([given], inputs=(("x", [1, 3, 4, 5]),), opset=opset)
    if domain:
        made.opset_import.append(helper.make_opsetid(domain, 1))
    return made


def simplified(proto, folder) -> onnx.ModelProto:
    return simplify(load(place(proto, folder / "in")), OptimizeParams()).proto


@pytest.mark.parametrize("domain", ["custom", "vendor.ops"])
@pytest.mark.parametrize("name", WANTED)
def test_an_operator_is_read_by_name_in_any_domain(name, domain, tmp_path):
    attributes = {key: GIVEN[key] for key in NAMED[name].attributes}
    done = simplified(named(name, domain, **attributes), tmp_path)
    assert op_types(done) == list(NAMED[name].rewritten or [name])
    x = np.linspace(-3, 3, 60, dtype=np.float32).reshape(1, 3, 4, 5)
    (found,) = float_run(done, {"x": x})
    np.testing.assert_allclose(found, WANTED[name](x.astype(np.float64)), atol=2e-5)


@pytest.mark.parametrize("name", ["Gelu", "HardSwish", "Mish", "Swish"])
def test_a_name_that_onnx_has_later_is_read_at_an_older_opset(name, tmp_path):
    assert op_types(simplified(named(name, "", 12), tmp_path)) == [name]


def test_what_is_kept_runs_on_the_npu_with_its_function_in_the_model(tmp_path):
    done = simplified(named("InverseSigmoid"), tmp_path)
    assert [(f.domain, f.name) for f in done.functions] == [(DOMAIN, "InverseSigmoid")]
    feeds = {"x": np.linspace(0, 1, 60, dtype=np.float32).reshape(1, 3, 4, 5)}
    result = quantised(done, [feeds])
    assert result.kinds() == ["AxTable"]
    expected = result.run(feeds)
    assert compiled(done, result).run(None, feeds)[0].tobytes() == expected[0].tobytes()


def test_a_part_of_the_model_on_the_cpu_is_a_plain_graph(tmp_path):
    done = simplified(named("InverseSigmoid"), tmp_path)
    done.graph.node[0].name = "n"
    onnx.save(done, tmp_path / "optimized.onnx")
    floats = FloatGraph(tmp_path / "optimized.onnx")
    form = type_named("FP32"), (1, 3, 4, 5)
    cut = floats.cut([floats.bare("n")], {"x": form}, {"y": form}, "part")
    feeds = {"x": np.linspace(0, 1, 60, dtype=np.float32).reshape(1, 3, 4, 5)}
    assert not cut.functions
    assert {item.domain for item in (*cut.graph.node, *cut.opset_import)} == {""}
    assert float_run(cut, feeds)[0].tobytes() == float_run(done, feeds)[0].tobytes()
    assert refusals(floats.node("n"), support_of("AX620E")) == ["the NPU of AX620E has no InverseSigmoid"]


def test_a_function_of_the_models_own_wins(tmp_path):
    given = named("Silu")
    body = [helper.make_node("Neg", ["x"], ["y"])]
    given.functions.append(helper.make_function("custom", "Silu", ["x"], ["y"], body, [helper.make_opsetid("", 13)]))
    assert op_types(simplified(given, tmp_path)) == ["Neg"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (named("Bevpool"), "Bevpool of domain 'custom' x1 ('n'): Bevpool has no public definition: nothing says"),
        (named("Silu", beta=2.0), "Silu of domain 'custom' x1 ('n') has the attribute beta, which nothing defines"),
        (named("Silu", opset=11), "Silu of domain 'custom' x1 ('n') is read by name from opset 12 on"),
        (named("SpatialTransformer", opset=20, border="replicate"), "has border = replicate, not constant"),
        (named("SpatialTransformer"), "is read by name from opset 20 on"),
        (named("FusedThing"), "ONNX does not define FusedThing of domain 'custom' x1 ('n')"),
    ],
)
def test_what_nothing_defines_is_refused_before_anything_runs(given, sentence, tmp_path):
    with pytest.raises(UnsupportedModelError) as error:
        load(place(given, tmp_path))
    assert sentence in str(error.value)


def test_a_spatial_transformer_samples_the_map_where_theta_moves_it(tmp_path):
    given = helper.make_node("SpatialTransformer", ["x", "theta"], ["y"], name="n", domain="custom", border="constant")
    made = model([given], inputs=(("x", [1, 2, 4, 4]), ("theta", [1, 2, 3])), opset=20)
    made.opset_import.append(helper.make_opsetid("custom", 1))
    done = simplified(made, tmp_path)
    assert op_types(done) == ["AffineGrid", "GridSample"]
    x = np.arange(32, dtype=np.float32).reshape(1, 2, 4, 4)
    turned = np.array([[[0, 1, 0], [1, 0, 0]]], np.float32)
    np.testing.assert_allclose(float_run(done, {"x": x, "theta": turned})[0], x.transpose(0, 1, 3, 2), atol=1e-5)
    result = quantised(done, [{"x": x, "theta": turned}])
    assert result.float_ops() == ["AffineGrid"]
    assert "AxQuantizedGridSample" in result.kinds()
    places, sampled = loaded(done).graph
    assert refusals(sampled, support_of("AX615")) == []
    assert without_integer_form(places) == "AffineGrid has no integer form"


def test_names_of_ours_that_are_kept_have_an_op():
    assert {name for name in all_ops() if not is_of_onnx(name)} == {n for n, own in NAMED.items() if not own.rewritten}
