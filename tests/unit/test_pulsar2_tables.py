"""A configuration as the tables of a BUILD file: every field is an attribute somewhere, or refused by its name."""

import json

import pytest

from axbuild.errors import AxError
from axbuild.toolchain.pulsar2.declared import declared_fields
from axbuild.toolchain.pulsar2.marked import Marked
from axbuild.toolchain.pulsar2.message import Nested, read_message
from axbuild.toolchain.pulsar2.read import parse_config
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.toolchain.pulsar2.tables import tables
from axbuild.toolchain.pulsar2.takes import Dictionary, Many, Number, Text, Toggle, Whole, Word
from axbuild.workspace.rulepack import load_rules

DATA = {"tensor_name": "DEFAULT", "calibration_dataset": "imgs.tar"}


def made(config, name="net"):
    """target -> its attributes, of a configuration with a model and calibration data."""
    whole = {"input": "net.onnx", **config, "quant": {"input_configs": [DATA], **config.get("quant", {})}}
    found = tables(parse_config(json.dumps(whole, indent=0), "config.json"), name)
    return {attributes["name"]: {"rule": rule, **attributes} for rule, attributes in found}


def attributes(target, config):
    return {key: value for key, value in made(config)[target].items() if key not in ("name", "rule")}


def refusal(config):
    with pytest.raises(AxError) as raised:
        made(config)
    return str(raised.value)


def test_the_least_configuration_is_four_targets_with_nothing_beside_what_it_says():
    assert made({}) == {
        "net_float": {"rule": "float_model", "name": "net_float", "src": "net.onnx"},
        "net_calib": {"rule": "calibration_set", "name": "net_calib", "src": "imgs.tar"},
        "net_quant": {
            "rule": "quant_model",
            "name": "net_quant",
            "model": ":net_float",
            "calibration": ":net_calib",
        },
        "net": {"rule": "axmodel", "name": "net", "quant": ":net_quant"},
    }


QUANTISED = {"model_type": "QuantAxModel", "input": "quant/quant_axmodel.onnx"}


def test_a_model_that_is_quantised_already_has_no_float_model_and_keeps_its_data():
    patches = [{"op_name": "MaxPool_3", "attrs": {"pads": [0, 0, 1, 1]}}]
    config = {**QUANTISED, "input_shapes": "x:1x3x8x8", "quant_op_processors": patches, "compiler": {"check": 2}}
    assert made(config) == {
        "net_calib": {"rule": "calibration_set", "name": "net_calib", "src": "imgs.tar"},
        "net_quant": {
            "rule": "quant_axmodel",
            "name": "net_quant",
            "src": "quant/quant_axmodel.onnx",
            "calibration": ":net_calib",
            "input_shapes": {"x": [1, 3, 8, 8]},
            "quant_op_processors": patches,
        },
        "net": {"rule": "axmodel", "name": "net", "quant": ":net_quant"},
        "net_check": {"rule": "check", "name": "net_check", "axmodel": ":net", "level": "equal"},
    }


def test_a_quantised_model_needs_no_calibration_data():
    rgb = {"tensor_name": "DEFAULT", "tensor_format": "RGB"}
    found = made({**QUANTISED, "quant": {"input_configs": []}, "input_processors": [rgb]})
    assert found["net_quant"] == {"rule": "quant_axmodel", "name": "net_quant", "src": QUANTISED["input"]}
    assert found["net"]["input_processors"] == [rgb]
    assert list(found) == ["net_quant", "net"]


def test_what_was_decided_when_a_model_was_quantised_is_left_out():
    said = {"calibration_method": "KL", "layer_configs": [{"op_type": "Add", "data_type": "U16"}], "check": 1}
    front = {"op_processors": [{"op_name": "a", "attrs": {"axis": 1}}], "onnx_opt": {"model_check": True}}
    assert made({**QUANTISED, **front, "quant": said}) == made(QUANTISED)


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("a:1x3x224x224;b:1x1x112x112", {"a": [1, 3, 224, 224], "b": [1, 1, 112, 112]}),
        ("data:1x3x384x384;", {"data": [1, 3, 384, 384]}),
        ("serving:0:1x4", {"serving:0": [1, 4]}),
    ],
)
def test_input_shapes_become_a_table(text, shapes):
    assert attributes("net_float", {"input_shapes": text})["input_shapes"] == shapes


def test_each_inputs_data_is_a_set_of_its_own_in_the_colour_order_of_its_processor():
    found = made(
        {
            "quant": {
                "input_configs": [
                    {"tensor_name": "a", "calibration_dataset": "a.tar", "calibration_mean": [1, 2, 3]},
                    {"tensor_name": "x:0", "calibration_dataset": "b.zip", "calibration_format": "Numpy"},
                ]
            },
            "input_processors": [
                {"tensor_name": "a", "tensor_format": "RGB", "src_dtype": "U8"},
                {"tensor_name": "x:0", "tensor_format": "BGR"},
            ],
        }
    )
    assert found["net_quant"]["calibration"] == {"a": ":net_calib_a", "x:0": ":net_calib_x_0"}
    assert found["net_calib_a"] | {"name": "", "rule": ""} == {
        "name": "",
        "rule": "",
        "src": "a.tar",
        "mean": [1.0, 2.0, 3.0],
        "tensor_format": "RGB",
    }
    assert found["net_calib_x_0"]["format"] == "Numpy"
    assert "tensor_format" not in found["net_calib_x_0"]
    assert found["net"]["input_processors"] == [
        {"tensor_name": "a", "src_dtype": "U8"},
        {"tensor_name": "x:0", "tensor_format": "BGR"},
    ]


@pytest.mark.parametrize("name", ["DEFAULT", "data"])
def test_one_colour_order_is_that_of_the_one_set(name):
    found = made({"input_processors": [{"tensor_name": name, "tensor_format": "RGB"}]})
    assert found["net_calib"]["tensor_format"] == "RGB"
    assert found["net_quant"]["calibration"] == ":net_calib"
    assert "input_processors" not in found["net"]


def test_inputs_of_the_same_data_in_two_colour_orders_have_a_set_each():
    processors = [{"tensor_name": "a", "tensor_format": "RGB"}, {"tensor_name": "DEFAULT", "tensor_format": "GRAY"}]
    found = made({"input_processors": processors})
    assert found["net_quant"]["calibration"] == {"DEFAULT": ":net_calib", "a": ":net_calib_a"}
    assert (found["net_calib"]["tensor_format"], found["net_calib_a"]["tensor_format"]) == ("GRAY", "RGB")
    assert found["net_calib_a"]["src"] == "imgs.tar"


def test_the_layout_of_the_model_is_that_of_its_pictures_and_of_its_run_time_input():
    processors = [
        {"tensor_name": "a", "tensor_layout": "NHWC", "mean": [0, 0, 0], "std": [1, 1, 1]},
        {"tensor_name": "b", "tensor_layout": "NCHW", "src_dtype": "S32", "zeropoint": 3},
        {"tensor_name": "c", "tensor_layout": "NHWC", "src_layout": "NHWC", "src_dtype": "S8", "scale": 0.5},
    ]
    found = made({"input_processors": processors})
    assert found["net_quant"]["calibration"] == {"DEFAULT": ":net_calib", "a": ":net_calib_a", "c": ":net_calib_c"}
    layouts = [found[name].get("tensor_layout") for name in ("net_calib", "net_calib_a", "net_calib_c")]
    assert layouts == [None, "NHWC", "NHWC"]
    assert found["net"]["input_processors"] == [
        {"tensor_name": "a", "tensor_layout": "NHWC", "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]},
        {"tensor_name": "b", "src_dtype": "S32"},
        {"tensor_name": "c", "tensor_layout": "NHWC", "src_dtype": "S8", "src_layout": "NHWC", "scale": 0.5},
    ]


def test_arrays_have_no_normalisation():
    arrays = DATA | {"calibration_format": "Numpy", "calibration_mean": [0], "calibration_std": [2]}
    assert attributes("net_calib", {"quant": {"input_configs": [arrays]}}) == {"src": "imgs.tar", "format": "Numpy"}


@pytest.mark.parametrize(("check", "level"), [(1, "close"), (2, "equal"), (3, "cosine")])
def test_a_check_is_a_target_with_the_limits_of_its_level_alone(check, level):
    limits = {"check_rtol": 1e-4, "check_atol": 0.5, "check_cosine_simularity": 0.9}
    found = attributes("net_check", {"compiler": {"check": check, **limits, "check_tensor_black_list": [".*Add.*"]}})
    own = {"close": {"rtol": 1e-4, "atol": 0.5}, "cosine": {"cosine": 0.9}}.get(level, {})
    assert found == {"axmodel": ":net", "level": level, **own, "tensor_black_list": [".*Add.*"]}


def test_without_a_check_its_limits_are_nobodys():
    assert set(made({"compiler": {"check": 0, "check_rtol": 0.1, "check_mode": "CheckPerLayer"}})) == set(made({}))


def test_further_shapes_of_each_input_become_groups_of_all():
    processors = [
        {"tensor_name": "a", "src_extra_shapes": [{"shape": [1, 3, 8, 8]}, {"shape": [1, 3, 16, 16]}]},
        {"tensor_name": "b", "src_extra_shapes": [{"shape": [1, 2]}, {"shape": [1, 4]}]},
    ]
    assert attributes("net", {"input_processors": processors})["src_extra_shapes"] == [
        {"a": [1, 3, 8, 8], "b": [1, 2]},
        {"a": [1, 3, 16, 16], "b": [1, 4]},
    ]


def test_a_further_shape_of_default_is_the_only_inputs():
    processors = [{"tensor_name": "DEFAULT", "src_extra_shapes": [{"shape": [1, 3, 384, 384]}]}]
    assert attributes("net", {"input_processors": processors})["src_extra_shapes"] == [{"DEFAULT": [1, 3, 384, 384]}]


def test_a_part_has_its_own_options_and_takes_what_it_says_nothing_of_from_the_model():
    ends = {"start_tensor_names": ["x"], "end_tensor_names": ["y"]}
    parts = [ends, ends | {"check": 2, "ddr_bw_limit": 3}, ends | {"check_atol": 0.5}, ends | {"check": 0}]
    found = attributes("net", {"compiler": {"check": 1, "check_rtol": 0.25, "sub_configs": parts}})
    assert found["sub_configs"] == [
        ends,
        ends | {"ddr_bw_limit": 3.0, "check": 2},
        ends | {"check": 1, "check_rtol": 0.25, "check_atol": 0.5},
        ends | {"check": 0},
    ]


def test_patterns_of_operators_are_written_as_they_are():
    patterns = [
        {"nodes": [{"types": ["Conv"], "outputs": ["c"]}, {"inputs": ["c"], "properties": {"axis": 1}}]},
        {"nodes": [{"outputs": ["t"]}, {}], "type": "Slice", "match_mode": "Tensor"},
    ]
    part = {"start_tensor_names": ["a"], "end_tensor_names": ["b"], "compiler_group_patterns": patterns[1:]}
    found = attributes("net", {"compiler": {"compiler_group_patterns": patterns, "sub_configs": [part]}})
    assert found["compiler_group_patterns"] == patterns
    assert found["sub_configs"] == [part]


@pytest.mark.parametrize(
    "own",
    [
        {"static_batch_sizes": [1, 4]},
        {"max_dynamic_batch_size": 4},
        {"max_dynamic_batch_size": 0},
        {"disable_ir_fix": True},
        {"enable_data_soft_compression": False},
    ],
)
def test_what_is_a_setting_of_the_whole_model_may_be_said_of_a_part(own):
    part = {"start_tensor_names": ["a"], "end_tensor_names": ["b"]} | own
    assert attributes("net", {"compiler": {"sub_configs": [part]}})["sub_configs"] == [part]


def test_patches_keep_their_names_and_whole_numbers_their_form():
    found = attributes(
        "net_float",
        {
            "op_processors": [{"op_name": "pool6", "attrs": {"ceil_mode": 1}}],
            "const_processors": [
                {"name": "reshape_0_shape", "data": [-1, 96, 48]},
                {"name": "w", "data": [0.5]},
                {"name": "v", "data_path": "v.npy"},
            ],
        },
    )
    assert found["op_processors"] == [{"op_name": "pool6", "attrs": {"ceil_mode": 1}}]
    assert json.dumps(found["const_processors"]) == json.dumps(
        [
            {"name": "reshape_0_shape", "data": [-1, 96, 48]},
            {"name": "w", "data": [0.5]},
            {"name": "v", "data_path": "v.npy"},
        ]
    )


def test_precision_analysis_is_a_target_and_the_back_end_is_asked_of_the_axmodel():
    asked = {"precision_analysis": True, "precision_analysis_method": "EndToEnd", "input_sample_dir": "pictures"}
    assert attributes("net_precision", {"quant": asked}) == {
        "quant": ":net_quant",
        "method": "EndToEnd",
        "input_sample_dir": "pictures",
    }
    asked["precision_analysis_mode"] = "NPUBackend"
    assert attributes("net_precision", {"quant": asked})["quant"] == ":net"


def test_fine_tuning_is_told_its_settings_where_it_is_asked_for():
    said = {"finetune_epochs": 10, "smooth_quant_strength": 0.5}
    assert "finetune_epochs" not in attributes("net_quant", {"quant": said})
    found = attributes("net_quant", {"quant": said | {"enable_lsq": True}})
    assert (found["enable_lsq"], found["finetune_epochs"]) == (True, 10)
    assert "smooth_quant_strength" not in found


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"model_type": "QuantAxModel", "quant": {"precision_analysis": True}},
            "error AX530: quant.precision_analysis compares with the float model, which a build from a QuantAxModel "
            "does not have: analyse where it is quantised",
        ),
        (
            {
                "model_type": "QuantAxModel",
                "input_processors": [{"tensor_name": "x", "src_extra_shapes": [{"shape": [1, 3, 16, 16]}]}],
            },
            "error AX530: input_processors[0].src_extra_shapes needs the float model, at whose further shapes the "
            "quantised one is made: build with model_type ONNX",
        ),
    ],
)
def test_what_stands_for_nothing_is_refused_by_name_and_place(config, message):
    found = refusal(config)
    assert message in found
    assert found.startswith("config.json:")


def test_a_model_without_calibration_data_is_refused():
    assert "quant.input_configs is empty: a model is quantised with" in refusal({"quant": {"input_configs": []}})


OTHER = {Toggle: True, Text: "other", Dictionary: {"k": 1}}
BASES = [
    {"quant": {"enable_smooth_quant": True, "enable_lsq": True, "precision_analysis": True}, "compiler": {"check": 1}},
    {"compiler": {"check": 3}},
]
ONE_VALUE = {"input_processors[].padding_mode"}
TOLD = {"output_processors[].tensor_layout"}
"""what has no effect, which a warning says"""
OF_THE_COMMAND = {"output_dir", "output_name", "work_dir", "debug.dump_frontend_graph"}


def other_value(setting):
    """A value that a field takes and that is not its default."""
    takes = setting.takes
    if isinstance(takes, Many):
        return [other_value_of(takes.item, None)]
    return other_value_of(takes, setting.default)


def other_value_of(takes, default):
    if isinstance(takes, Word):
        return next(name for name in takes.names if name != default)
    if isinstance(takes, Whole):
        return min(2, int(takes.high))
    return 5e-5 if isinstance(takes, Number) else OTHER[type(takes)]


def marked(value):
    if isinstance(value, dict):
        return Marked({name: marked(item) for name, item in value.items()})
    return Marked([marked(item) for item in value] if isinstance(value, list) else value)


ENTRY = {
    "input_configs": DATA,
    "layer_configs": {},
    "input_processors": {
        "tensor_name": "x",
        "padding": [1, 1],
        "src_format": "YUYV422",
        "csc_mode": "Matrix",
        "scale": 1,
    },
    "output_processors": {"tensor_name": "x", "output_dtype": "U8"},
    "const_processors": {"name": "c"},
    "op_processors": {"op_name": "o", "attrs": {}},
    "quant_op_processors": {"op_name": "o", "attrs": {}},
    "sub_configs": {"start_tensor_names": ["a"], "end_tensor_names": ["b"]},
}


def put(whole, path, value):
    """Set a field of a configuration, in a list in an entry of its own; the configuration without it."""
    here, last = whole, path.rpartition(".")[2]
    for part in path.split(".")[:-1]:
        if part.endswith("[]"):
            here[part[:-2]] = [dict(ENTRY.get(part[:-2], {}))]
            here = here[part[:-2]][0]
        else:
            here = here.setdefault(part, {})
    here.pop(last, None)
    before = json.dumps(whole)
    here[last] = value
    return json.loads(before)


def told(whole):
    """The tables, or the sentence about what is refused."""
    try:
        return tables(read_message(BuildConfig, marked(whole)), "net")
    except AxError as error:
        return error.sentence


LEAVES = [
    field
    for field in declared_fields()
    if not field.path.endswith("[]") and ".nodes" not in field.path and "group_patterns" not in field.path
    if field.path not in OF_THE_COMMAND | ONE_VALUE | TOLD and not isinstance(field.setting.takes, Nested)
]


@pytest.mark.parametrize("field", LEAVES, ids=lambda field: field.path)
def test_no_field_is_lost(field):
    """Of each field another value gives other tables, or a sentence that names it."""
    for base in BASES:
        whole = json.loads(json.dumps({"input": "net.onnx", **base}))
        whole.setdefault("quant", {})["input_configs"] = [DATA]
        before = put(whole, field.path, other_value(field.setting))
        now = told(whole)
        if now != told(before) and (not isinstance(now, str) or field.name in now):
            return
    raise AssertionError(f"{field.path} changes nothing")


def test_each_attribute_of_the_rules_that_names_a_field_of_the_vendors_is_written():
    """The names of attributes here are those of the rules, and none of theirs is forgotten."""
    rules, known = load_rules(None).rules, {field.path.replace("[]", "") for field in declared_fields()}
    named = {attribute.vendor for rule in rules.values() for attribute in rule.attributes.values() if attribute.vendor}
    assert named <= known | {"op_processors", "const_processors"}
