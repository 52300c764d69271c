"""What a real Pulsar2 is asked for of what targets say, and what is refused since it has no such setting."""

import pytest

from axbuild.engine.workers.params import params_of
from axbuild.errors import AxError, AxWarning
from axbuild.toolchain.pulsar2.driver.preflight import pulsar2_preflight
from rules_world import AXMODEL, CHAIN, CHECK, layer


@pytest.fixture
def lay(tmp_path):
    return layer(tmp_path)


DRIVEN = CHAIN + 'toolchain = "pulsar2"\n'


def test_quantising_is_an_action_of_the_axmodel_and_knows_neither_mode_nor_batches(lay):
    actions, targets = lay(DRIVEN + AXMODEL + 'npu_mode = "NPU3"\nstatic_batch_sizes = [1, 4]\n')
    assert [name for name in actions if name[0] in ("quant", "axmodel")] == [
        ("axmodel", "pulsar2_preflight"), ("axmodel", "pulsar2_quantise"), ("axmodel", "pulsar2_compile"),
    ]  # fmt: skip
    config = actions["axmodel", "pulsar2_quantise"].params["config"]
    assert (config["target_hardware"], config["npu_mode"]) == ("AX650", "NPU1")
    assert "compiler" not in config
    assert sorted(targets["axmodel"].outputs) == [
        "compiled.axmodel", "frontend/", "pulsar2/compilation.json", "pulsar2/compilation.log",
        "pulsar2/quantisation.json", "pulsar2/quantisation.log", "quant/",
    ]  # fmt: skip


def test_pictures_are_normalised_alike_in_calibration_and_at_run_time(lay):
    actions, _ = lay(DRIVEN + AXMODEL + 'input_processors = [{ src_dtype = "U8", src_layout = "NHWC" }]\n')
    quantised, compiled = (actions["axmodel", f"pulsar2_{name}"].params["config"] for name in ("quantise", "compile"))
    assert quantised["quant"]["input_configs"] == [
        {
            "tensor_name": "DEFAULT",
            "calibration_format": "Image",
            "calibration_size": 32,
            "calibration_mean": [127.5, 127.5, 127.5],
            "calibration_std": [127.5, 127.5, 127.0],
        }
    ]
    assert quantised["input_processors"] == [{"tensor_name": "DEFAULT", "tensor_format": "RGB"}]
    assert compiled["input_processors"] == [
        {
            "tensor_name": "DEFAULT",
            "tensor_format": "RGB",
            "src_format": "RGB",
            "src_dtype": "U8",
            "src_layout": "NHWC",
            "mean": [127.5, 127.5, 127.5],
            "std": [127.5, 127.5, 127.0],
        }
    ]


def test_other_means_at_run_time_are_passed_on_and_told(lay, tmp_path):
    driven = DRIVEN.replace('tensor_format = "RGB"', 'tensor_format = "RGB"\ntensor_layout = "NHWC"')
    own = '{ mean = [0], std = [1], src_dtype = "S16" }'
    actions, _ = lay(driven + AXMODEL + f"input_processors = [{own}]\n")
    quantised, compiled = (actions["axmodel", f"pulsar2_{name}"].params["config"] for name in ("quantise", "compile"))
    form = {"tensor_name": "DEFAULT", "tensor_format": "RGB", "tensor_layout": "NHWC"}
    assert quantised["input_processors"] == [form]
    said = {"src_format": "RGB", "src_dtype": "S16", "mean": [0.0], "std": [1.0]}
    assert compiled["input_processors"] == [form | said]
    params = actions["axmodel", "pulsar2_preflight"].params
    sentence = (
        "the input processor of 'DEFAULT' takes mean [0.0] and std [1.0], and calibration took mean "
        "[127.5, 127.5, 127.5] and std [127.5, 127.5, 127.0]"
    )
    assert params["unlike"] == [sentence]
    with pytest.warns(AxWarning, match="AX593") as told:
        pulsar2_preflight(tmp_path, **params_of(pulsar2_preflight, params))
    assert [one.message.sentence for one in told if one.message.code == "AX593"] == [sentence]


REFUSED = [
    (DRIVEN + 'bias_correction = "on"\n' + AXMODEL, "a real Pulsar2 is not told of bias_correction"),
    (DRIVEN + 'equalisation = "on"\n' + AXMODEL, "a real Pulsar2 is not told of equalisation"),
    (DRIVEN + "export_qdq = true\n" + AXMODEL, "a real Pulsar2 is not told of export_qdq"),
    (DRIVEN + AXMODEL + 'effort = "high"\n', "a real Pulsar2 is not told of effort"),
    (
        DRIVEN + AXMODEL + "src_extra_shapes = [{ x = [1, 3, 9, 9] }]\n",
        "a real Pulsar2 is not told of src_extra_shapes",
    ),
    (
        DRIVEN.replace('src = "net.onnx"', 'src = "net.onnx"\noutputs = ["y"]') + AXMODEL,
        "a real Pulsar2 is not told of the float model's outputs",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_what_pulsar2_has_no_setting_for_is_refused(lay, text, sentence):
    with pytest.raises(AxError) as caught:
        lay(text)
    assert caught.value.code == "AX583"
    assert sentence in caught.value.sentence
    assert caught.value.hint == 'leave it out, or build with toolchain = "axbuild"'


def test_what_axbuild_would_have_to_simulate_is_refused_by_what_it_takes(lay):
    with pytest.raises(AxError, match=r"axmodel takes AxModel, and //m:axmodel .axmodel. gives Pulsar2AxModel"):
        lay(DRIVEN + AXMODEL + CHECK)
