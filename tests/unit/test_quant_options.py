"""Options of precision that are no layer rules, each by what it changes in the model."""

import numpy as np
import pytest
from onnx import numpy_helper
from quantised import Net, float_run, quantised, sqnr

from axbuild.errors import AxError
from axbuild.toolchain.kinds.codes import S16, U8, U16, type_of
from axbuild.toolchain.quant.bake import Baking
from axbuild.toolchain.quant.calibrate import CalibrateParams
from axbuild.toolchain.quant.precision import LayerConfig


def net() -> Net:
    n = Net(1, 3, 8, 8)
    n.conv("x", "a", 8, 3, 3)
    n.add("Relu", ["a"], "r")
    n.conv("r", "b", 8, 8, 3)
    n.add("HardSwish", ["b"], "h")
    n.add("GlobalAveragePool", ["h"], "g")
    n.add("Flatten", ["g"], "f")
    n.add("Gemm", ["f", n.weight("w", 8, 5), n.weight("c", 5)], "y")
    return n


def near_dead() -> Net:
    """A convolution with channels of weights of 1e-21 under a bias of 4, and of 1e-6 under none."""
    n = Net(1, 2, 4, 4)
    w = np.ones((3, 2, 1, 1), np.float32)
    w[1], w[2] = 1e-21, 1e-6
    n.constant("w", w)
    n.add("Conv", ["x", "w", n.constant("b", np.array([0.5, 4.0, 0.0], np.float32))], "y", kernel_shape=[1, 1])
    return n


def distance(n: Net, output: str, **params) -> float:
    """dB of the output over all samples."""
    model, samples = n.model(output), n.samples()
    result = quantised(model, samples, **params)
    exact, coded = (np.stack([run(feeds) for feeds in samples]) for run in (
        lambda feeds: float_run(model, feeds)[0], lambda feeds: result.run(feeds)[0],
    ))  # fmt: skip
    return sqnr(exact, coded)


def test_highest_precision_is_16_bits_wherever_no_rule_decides():
    n = net()
    rule = LayerConfig(op_type="Gemm", data_type="U8")
    result = quantised(n.model("y"), n.samples(), rules=[rule], highest_mix_precision=True)
    reads = {site.nodes[0]: type_of(next(iter(site.reads.values()))) for site in result.scheme.sites}
    assert {node: reads[node] for node in ("a", "b", "g", "y")} == {"a": U16, "b": U16, "g": U16, "y": U8}
    weights = {site.nodes[0]: site.weight.type.name for site in result.scheme.sites if site.weight}
    assert weights == {"a": "S16", "b": "S16", "y": "S8"}
    assert distance(n, "y", highest_mix_precision=True) > 60 > distance(n, "y")


def test_without_optimisation_every_operator_stands_by_itself():
    n = net()
    plain = quantised(n.model("y"), n.samples())
    apart = quantised(n.model("y"), n.samples(), disable_quant_optimization=True)
    assert plain.kinds() == [
        "AxQuantizedConv", "AxQuantizedConv", "AxTable", "AxQuantizedGlobAvgPool", "AxReshape", "AxFullyConnected",
    ]  # fmt: skip
    assert apart.kinds() == [
        "AxQuantizedConv", "AxRequantizeLinear", "AxQuantizedConv", "AxTable", "AxQuantizedGlobAvgPool", "AxReshape",
        "AxFullyConnected",
    ]  # fmt: skip
    assert (type_of(plain.edges()["b"]), type_of(apart.edges()["b"])) == (S16, U8)
    assert apart.edges()["a"] == apart.edges()["r"], "no code stands for what the Relu cuts off"
    assert distance(n, "y", disable_quant_optimization=True) > 25


@pytest.mark.parametrize(("kind", "dtype", "state"), [("S32", "int32", "PASSIVE_BAKED"), ("FP32", "float32", "FP32")])
def test_biases_are_stored_as_integers_or_as_they_are(kind, dtype, state):
    n = net()
    result = quantised(n.model("y"), n.samples(), baking=Baking(kind))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.model.graph.initializer}
    assert {name: constants[name].dtype.name for name in constants if name.endswith(".bias")} == {
        "a.bias": dtype, "b.bias": dtype, "y.bias": dtype,
    }  # fmt: skip
    assert [result.records[node][name]["state"] for node, name in (("a", "a_b"), ("y", "c"))] == [state, state]
    assert distance(n, "y", baking=Baking(kind)) > 30


def test_a_real_bias_leaves_the_scales_of_weights_alone():
    n = near_dead()
    whole, real = (
        quantised(n.model("y"), n.samples(), baking=Baking(kind, -1.0)).records["y"]["w"] for kind in ("S32", "FP32")
    )
    assert whole["raised_channels"] == [1]
    assert real["scale"][1] < 0.1 * whole["scale"][1]
    y = quantised(n.model("y"), n.samples(), baking=Baking("FP32", disable_auto_refine_scale=True))
    assert y.records["y"]["w"]["raised_channels"] == []
    assert y.records["y"]["w"]["scale"][1] == pytest.approx(1e-21 / 127)
    assert distance(n, "y", baking=Baking("FP32", disable_auto_refine_scale=True)) > 35


@pytest.mark.parametrize(("threshold", "scale"), [(1e-6, 1e-6), (1e-7, 1e-7), (0.0, 1e-6 / 127), (-1.0, 1e-6 / 127)])
def test_tiny_scales_of_weights_are_raised_to_the_threshold_or_left(threshold, scale):
    n = near_dead()
    result = quantised(n.model("y"), n.samples(), baking=Baking(refine_weight_threshold=threshold))
    assert result.records["y"]["w"]["scale"][2] == np.float32(scale)


def test_a_threshold_that_an_output_would_show_raises_no_scale_to_it():
    n = Net(1, 2, 4, 4)
    n.add("Mul", ["x", n.constant("k", np.float32(1e7))], "large")
    w = np.full((1, 2, 1, 1), 1e-6, np.float32)
    n.add("Conv", ["large", n.constant("w", w)], "y", kernel_shape=[1, 1])
    assert distance(n, "y", baking=Baking(refine_weight_threshold=1e-5)) > 35


def test_scales_as_calibrated_refuse_a_bias_that_they_have_no_room_for():
    n = near_dead()
    with pytest.raises(AxError) as caught:
        quantised(n.model("y"), n.samples(), baking=Baking(disable_auto_refine_scale=True))
    assert caught.value.sentence == ("node 'y' (Conv) cannot be quantised: The bias of channel 1 does not fit 32 bits.")
    assert caught.value.hint == (
        'disable_auto_refine_scale keeps its scale; conv_bias_data_type = "FP32" has room for any bias'
    )


def test_the_defaults_are_the_vendors():
    params = CalibrateParams()
    assert params.baking == Baking("S32", 1e-6, disable_auto_refine_scale=False)
    assert (params.highest_mix_precision, params.disable_quant_optimization) == (False, False)


def checked(n: Net, output: str, *rules: LayerConfig, **options):
    return quantised(n.model(output), n.samples(), rules=rules, check=1, **options)


@pytest.mark.parametrize("rules", [(), (LayerConfig(op_types=("Conv", "Gemm"), data_type="U16"),)])
@pytest.mark.parametrize("options", [{}, {"highest_mix_precision": True}, {"method": "Auto"}])
def test_a_check_passes_where_every_operator_has_what_was_asked_for(rules, options):
    assert checked(net(), "y", *rules, **options).kinds()


def test_a_check_fails_by_each_data_type_that_was_not_to_be_had():
    n = net()
    n.add("Softsign", ["y"], "z")
    rules = (
        LayerConfig(op_type="Softsign", data_type="U16"),
        LayerConfig(op_type="Flatten", data_type="S8"),
    )
    with pytest.raises(AxError) as caught:
        checked(n, "z", *rules)
    assert caught.value.code == "AX365"
    assert caught.value.sentence == (
        "check = 1 found 2 data types other than asked for: 'f' (Flatten) reads 'g' as U8, not S8; "
        "'z' (Softsign) reads 'y' as FP32, not U16 (Softsign has no integer form)"
    )


def normalised(scale) -> Net:
    n = Net(1, 4, 16)
    n.add("LayerNormalization", ["x", n.constant("g", np.float32(scale)), n.weight("b", 16)], "y", axis=-1)
    return n


@pytest.mark.parametrize(("kind", "dtype"), [("FP32", "float32"), ("S32", "int32"), ("U32", "uint32")])
def test_scales_of_normalisations_are_stored_as_floats_or_in_fixed_point(kind, dtype):
    n = normalised(np.linspace(0.1, 2.9, 16))
    result = quantised(n.model("y"), n.samples(), baking=Baking(ln_scale_data_type=kind))
    stored = next(numpy_helper.to_array(one) for one in result.model.graph.initializer if one.name == "y.weight")
    assert stored.dtype.name == dtype
    wanted = np.linspace(0.1, 2.9, 16) / result.scale("y")
    assert stored * result.kind("y").step == pytest.approx(wanted, rel=1e-6)
    assert stored.max() > (2**31 if kind == "U32" else 2**30 if kind == "S32" else 0)
    assert distance(n, "y", baking=Baking(ln_scale_data_type=kind)) > 40


def test_u32_refuses_a_negative_scale_of_a_normalisation():
    n = normalised(np.linspace(-1.0, 2.0, 16))
    with pytest.raises(AxError) as caught:
        quantised(n.model("y"), n.samples(), baking=Baking(ln_scale_data_type="U32"))
    assert caught.value.sentence.startswith("node 'y' (LayerNormalization) cannot be quantised: Its scale is negative")
    assert caught.value.sentence.endswith(" steps of the output, and U32 holds none.")
    assert quantised(n.model("y"), n.samples(), baking=Baking(ln_scale_data_type="S32")).kind("y").weight.min() < 0
