"""What a real Pulsar2 is asked for of what targets say, and what is refused since it has no such setting."""

import pytest

from axbuild.engine.workers.params import params_of
from axbuild.errors import AxError, AxWarning
from axbuild.toolchain.pulsar2.driver.preflight import pulsar2_preflight
from rules_world import AXMODEL, CHAIN, CHECK, TWO_INPUTS, layer


@pytest.fixture
def lay(tmp_path):
    return layer(tmp_path)


DRIVEN = CHAIN + 'toolchain = "pulsar2"\n'
TWO_DRIVEN = TWO_INPUTS.replace(
    '[[calibration_set]]\nname = "arrays"', 'toolchain = "pulsar2"\n\n[[calibration_set]]\nname = "arrays"'
)
ANALYSIS = """
[[precision_analysis]]
name = "analysis"
quant = ":axmodel"
"""
SUB_CONFIG = 'sub_configs = [{ start_tensor_names = ["a"], end_tensor_names = ["b"] }]\n'


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
        DRIVEN + AXMODEL + SUB_CONFIG.replace("}]", ', effort = "high" }]'),
        "a real Pulsar2 is not told of sub_configs.effort",
    ),
    (DRIVEN + AXMODEL + CHECK + 'samples = ":calib"\n', "a real Pulsar2 is not told of samples"),
    (DRIVEN + AXMODEL + ANALYSIS + "min_cosine = 0.9\n", "a real Pulsar2 is not told of min_cosine"),
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


def test_what_axbuild_would_have_to_measure_is_refused_by_what_it_takes(lay):
    with pytest.raises(AxError, match=r"quant takes QuantModel or AxModel, and //m:axmodel .axmodel. gives Pulsar2Ax"):
        lay(DRIVEN + AXMODEL + '[[precision_check]]\nname = "precision"\nquant = ":axmodel"\n')


def shapes_in(lay, text):
    """src_extra_shapes of each input, as the compilation is told of them."""
    actions, _ = lay(text)
    config = actions["axmodel", "pulsar2_compile"].params["config"]
    assert "src_extra_shapes" not in str(actions["axmodel", "pulsar2_quantise"].params)
    return {entry["tensor_name"]: entry.get("src_extra_shapes") for entry in config["input_processors"]}


SHAPED = [
    (DRIVEN, "[{ DEFAULT = [1, 3, 9, 9] }, { DEFAULT = [1, 3, 8, 8] }]", {"DEFAULT": [[1, 3, 9, 9], [1, 3, 8, 8]]}),
    (DRIVEN, "[{ x = [1, 3, 9, 9], y = [1] }]", {"x": [[1, 3, 9, 9]], "y": [[1]]}),
    (TWO_DRIVEN, "[{ a = [1, 2], b = [1, 4] }]", {"a": [[1, 2]], "b": [[1, 4]]}),
    (
        TWO_DRIVEN.replace('src = "net.onnx"', 'src = "net.onnx"\ninput_shapes = { b = [1, 5] }'),
        "[{ a = [1, 2] }, { a = [1, 3], b = [1, 6] }]",
        {"a": [[1, 2], [1, 3]], "b": [[1, 5], [1, 6]]},
    ),
]


@pytest.mark.parametrize(("chain", "groups", "told"), SHAPED)
def test_further_shapes_are_told_of_every_input_and_quantising_knows_nothing_of_them(lay, chain, groups, told):
    found = shapes_in(lay, chain + AXMODEL + f"src_extra_shapes = {groups}\n")
    assert {name: [one["shape"] for one in shapes] for name, shapes in found.items()} == told


BAD_SHAPES = [
    (TWO_DRIVEN, "[{ a = [1, 2] }]", "AX583", "src_extra_shapes has a group without 'b'"),
    (TWO_DRIVEN, "[{ DEFAULT = [1, 2] }]", "AX115", "src_extra_shapes names DEFAULT, which is a model's only input"),
    (TWO_DRIVEN, "[{ c = [1, 2] }]", "AX115", "src_extra_shapes names 'c', which has no calibration set"),
    (DRIVEN, "[{ x = [1, 2] }, { x = [1, 2] }]", "AX106", "src_extra_shapes has the same shapes twice"),
]


@pytest.mark.parametrize(("chain", "groups", "code", "sentence"), BAD_SHAPES)
def test_further_shapes_that_pulsar2_could_not_be_told_are_refused(lay, chain, groups, code, sentence):
    with pytest.raises(AxError) as caught:
        lay(chain + AXMODEL + f"src_extra_shapes = {groups}\n")
    assert caught.value.code == code
    assert caught.value.sentence.startswith(sentence)


def test_processors_of_default_are_those_of_each_input_with_shapes_of_its_own(lay):
    more = 'input_processors = [{ src_dtype = "U8" }]\nsrc_extra_shapes = [{ x = [1, 3, 9, 9] }]\n'
    actions, _ = lay(DRIVEN + AXMODEL + more)
    (entry,) = actions["axmodel", "pulsar2_compile"].params["config"]["input_processors"]
    assert (entry["tensor_name"], entry["src_dtype"]) == ("x", "U8")


def test_which_gpu_fine_tunes_is_placement_and_its_kind_a_setting(lay):
    tuned = DRIVEN + 'enable_adaround = true\ndevice = "cuda:3"\n' + AXMODEL
    action = lay(tuned)[0]["axmodel", "pulsar2_quantise"]
    other = lay(tuned.replace("cuda:3", "cuda:1"))[0]["axmodel", "pulsar2_quantise"]
    assert (action.device, other.device) == ("cuda:3", "cuda:1")
    assert action.params == other.params
    assert action.params["config"]["quant"]["device"] == "cuda:0"
    assert lay(tuned)[0]["axmodel", "pulsar2_compile"].device == "cpu"


def test_what_the_front_end_is_told_is_told_to_the_vendors(lay):
    said = 'src = "net.onnx"\nmodel_type = "QuantONNX"\nmodel_check = true\nenable_onnxsim = true'
    actions, _ = lay(DRIVEN.replace('src = "net.onnx"', said) + AXMODEL)
    quantise = actions["axmodel", "pulsar2_quantise"]
    assert quantise.params["config"]["model_type"] == "QuantONNX"
    assert quantise.params["config"]["onnx_opt"] == {"enable_onnxsim": True, "model_check": True}
    assert quantise.inputs["model"] == actions["float", "separate"].inputs["model"], (
        "the file, not what was taken apart"
    )


def test_a_check_is_a_compilation_with_one_on_calibration_data_or_a_folder(lay, tmp_path):
    text = DRIVEN + AXMODEL + CHECK + 'rtol = 0.5\ntensor_black_list = ["a"]\n'
    actions, _ = lay(text)
    check, compiled = actions["check", "pulsar2_check"], actions["axmodel", "pulsar2_compile"]
    plain = compiled.params["config"]
    compiler = {"check": 1, "check_rtol": 0.5, "check_tensor_black_list": ["a"]}
    entries = actions["axmodel", "pulsar2_quantise"].params["config"]["quant"]["input_configs"]
    assert check.params["config"] == plain | {"compiler": compiler, "quant": {"input_configs": entries}}
    assert check.params["places"] == ["quant.input_configs.0.calibration_dataset"]
    assert check.inputs["quant"] == compiled.inputs["quant"]
    (tmp_path / "m/pictures").mkdir()
    (tmp_path / "m/pictures/a.npy").touch()
    own, _ = lay(text + 'input_sample_dir = "pictures"\n')
    assert own["check", "pulsar2_check"].params["places"] == ["compiler.input_sample_dir"]


@pytest.mark.parametrize("where", ["npu_perf = true\n", SUB_CONFIG.replace("}]", ", npu_perf = true }]")])
def test_profiles_are_handed_over_where_the_model_or_a_part_asks_for_them(lay, where):
    assert "compiler/" in lay(DRIVEN + AXMODEL + where)[1]["axmodel"].outputs
    assert "compiler/" not in lay(DRIVEN + AXMODEL + SUB_CONFIG)[1]["axmodel"].outputs


def test_an_analysis_is_a_quantisation_with_one(lay):
    actions, targets = lay(DRIVEN + AXMODEL + ANALYSIS + 'method = "EndToEnd"\n')
    analysis, quantised = (actions[name] for name in (("analysis", "pulsar2_analyse"), ("axmodel", "pulsar2_quantise")))
    more = {"precision_analysis": True, "precision_analysis_method": "EndToEnd"}
    plain = quantised.params["config"]
    assert analysis.params["config"] == plain | {"quant": plain["quant"] | more}
    assert analysis.inputs == quantised.inputs
    assert "debug/" in targets["analysis"].outputs


def test_an_analysis_of_what_has_no_chip_says_what_to_name(lay):
    with pytest.raises(AxError, match="a real Pulsar2 quantises for a chip") as caught:
        lay(DRIVEN + AXMODEL + ANALYSIS.replace(":axmodel", ":quant"))
    assert caught.value.code == "AX115"
    assert "name the axmodel" in caught.value.hint
