"""Lines of `pulsar2 build` that only some configurations give, from stored products."""

import json

import onnx
import pytest
from onnx import helper

from axbuild.engine.records.events import ActionFinished, Diagnostic
from axbuild.report.pulsar2_chapters import chapters
from axbuild.report.story import Line, Products, Story
from axbuild.toolchain.pulsar2.read import parse_config
from axbuild.toolchain.pulsar2.schema import defaulted

INTERFACE = {
    "inputs": [{"name": "data", "shape": [1, 3, 224, 224], "dtype": "float32"}],
    "outputs": [{"name": "prob", "shape": [1, 1000], "dtype": "float32"}],
}
BYTES, REALS = {"dtype": "U8", "shape": [1, 224, 224, 3]}, {"dtype": "FP32", "shape": [1, 3, 224, 224]}
TURN = {"name": "pre_transpose_1", "op_type": "AxTranspose", "attributes": {"perm": [0, 3, 1, 2]}, "within": ""}
NORM = {"name": "pre_norm_1", "op_type": "AxNormalize", "attributes": {"dim": 1}, "within": "AxQuantizedNormalize"}
LAST = {"name": "post_dequant_1", "op_type": "AxDequantizeLinear", "attributes": {"scale": 0.5}, "within": ""}
PROCESSING = {
    "inputs": [{"name": "data", **BYTES, "operators": [TURN | BYTES, NORM | REALS]}],
    "outputs": [{"name": "prob", "dtype": "FP32", "shape": [1, 1000], "operators": [LAST | BYTES]}],
}
STAGES = {"operators": 5, "tiles": 6, "after_ddr_swap": 7, "jobs": 9, "dependencies": 8}
VERDICT = {"passed": True, "level": "equal", "sentence": "sub_configs[0]: equal bit for bit", "outputs": {"op_5": {}}}
PICTURES = {"tensor_name": "data", "calibration_dataset": "x.tar", "calibration_mean": [1, 2, 3]}


def report(macs, cycles):
    return {"macs": macs, "max_cycle": cycles, "stages": STAGES}


@pytest.fixture(autouse=True)
def model(tmp_path, monkeypatch):
    """The file that a configuration names, where it names none."""
    monkeypatch.chdir(tmp_path)
    ports = [helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), "m.onnx")


def told(config, *made, notes=()):
    """What a build says that made these: (stage, action, outputs, each a file's content)."""
    stored = {}

    def kept(content):
        if isinstance(content, dict):
            return {name: kept(item) for name, item in content.items()}
        return stored.setdefault(content, content)

    said = []
    resolved = defaulted(parse_config(json.dumps({"output_dir": "out", "input": "m.onnx"} | config), "c.json"))
    story = Story(chapters(resolved), Products(lambda digest: stored[digest].encode()), said.append)
    for stage, sentence in notes:
        story(Diagnostic("//:m", stage, stage, "", sentence, True))
    for stage, action, outputs in made:
        story(ActionFinished("//:m", action, stage, stage, "", "up_to_date", "", 0.0, outputs=kept(outputs)))
    return [f"{one.level} {one.text}".strip() for one in said if isinstance(one, Line)]


RECORDS = {"conv": {"data": {"state": "ACTIVATED"}, "w": {"state": "BAKED"}}, "shape": {"prob": {"state": "SOI"}}}
QUANTISED = {"interface.json": json.dumps(INTERFACE), "quant_axmodel.json": json.dumps(RECORDS)}
TAKEN = ("read_quantised", "read_quantised", QUANTISED)
OPTIMIZED = ("optimize", "optimize", {"interface.json": json.dumps(INTERFACE)})


def planned(processing, action="partition"):
    return "partition", action, {"partition/": {}, "processing.json": json.dumps(processing)}


PLANNED = planned(PROCESSING)


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (
            {"input_shapes": "data:1x3x384x384"},
            "WARNING change input shape to {'data': (1, 3, 384, 384)}",
        ),
        (
            {"input_processors": [{"tensor_name": "data", "src_extra_shapes": [{"shape": [1, 3, 384, 384]}]}]},
            "INFO extra input shape, index: 1, shape: {'data': (1, 3, 384, 384)}",
        ),
        (
            {"op_processors": [{"op_name": "pool6", "attrs": {"ceil_mode": 1}}]},
            "INFO set op [pool6] attr [ceil_mode] to 1",
        ),
        (
            {"const_processors": [{"name": "reshape_0_shape", "data": [-1, 96, 48]}]},
            "WARNING update data of const tensor 'reshape_0_shape' to [-1, 96, 48], S64",
        ),
        ({}, "WARNING apply default output processor configuration to ['prob']"),
    ],
)
def test_what_a_configuration_changes_of_the_model_is_told_first(config, line):
    notes = [("patch", "update data of const tensor 'reshape_0_shape' to [-1, 96, 48], S64")]
    lines = told(config | {"quant": {"input_configs": [PICTURES]}}, OPTIMIZED, notes=notes)
    assert line in lines
    assert not any(word in said for said in lines for word in ("Loaded", "Building onnx"))  # whose time has not come


def test_operators_before_and_behind_are_told_as_the_partition_has_them():
    """Whatever the configuration says, and not those of another partition, such as that of an analysis."""
    processor = {"tensor_name": "data", "src_dtype": "U8", "src_layout": "NHWC", "mean": [1, 2, 3]}
    config = {"input_processors": [processor], "model_type": "QuantAxModel"}
    lines = told(config, TAKEN, planned({"inputs": [], "outputs": []}, "another"), PLANNED)
    start = lines.index("INFO preprocess tensor [data]")
    assert lines[start : lines.index("INFO tensor: prob, (1, 1000), FP32") + 2] == [
        "INFO preprocess tensor [data]",
        "INFO tensor: data, (1, 224, 224, 3), U8",
        "INFO op: op:pre_transpose_1, AxTranspose, {'perm': [0, 3, 1, 2]}",
        "INFO tensor: tensor:pre_norm_1, (1, 3, 224, 224), FP32",
        "INFO op: op:pre_norm_1, AxNormalize, {'dim': 1}, within AxQuantizedNormalize",
        "INFO postprocess tensor [prob]",
        "INFO tensor: prob, (1, 1000), FP32",
        "INFO op: op:post_dequant_1, AxDequantizeLinear, {'scale': 0.5}",
    ]


def test_where_nothing_is_inserted_no_operator_is_told():
    bare = {"inputs": [{"name": "ids", "dtype": "INT32", "shape": [1, 52], "operators": []}], "outputs": []}
    lines = told({"model_type": "QuantAxModel"}, TAKEN, planned(bare))
    assert lines[-2:] == ["INFO preprocess tensor [ids]", "INFO tensor: ids, (1, 52), S32"]


def compiled(*places):
    """An action of each (shape group, subgraph, batch)."""
    made = []
    for group, subgraph, batch in places:
        action = f"split{f'_shape_{group}' if group else ''}/compile_{subgraph}_b{batch}"
        content = json.dumps(report(100 * batch, 1000 * batch))
        made.append(("compile_subgraph", action, {"report.json": content}))
    return made


def test_each_subgraph_is_told_with_its_cycles_and_a_part_with_a_check_of_its_own():
    parts = [{"start_tensor_names": ["op_37"], "end_tensor_names": ["op_5"], "check": 2}]
    config = {"model_type": "QuantAxModel", "compiler": {"sub_configs": parts}}
    verdict = ("compare", "compare_sub_config_0", {"verdict.json": json.dumps(VERDICT)})
    lines = told(config, TAKEN, PLANNED, *compiled((0, 0, 1), (0, 1, 1), (0, 2, 1)), ("fuse", "fuse", {}), verdict)
    assert "INFO QuantAxModel macs: 300" in lines
    assert [line for line in lines if "GraphType" in line] == [
        f"INFO subgraph [{number}], group: 0, type: GraphType.NPU" for number in range(3)
    ]
    assert sum(line == "INFO max_cycle = 1,000 (an estimate of the reference NPU)" for line in lines) == 3
    assert sum(line == "add ddr swap... 7" for line in lines) == 3
    assert [line for line in lines if line.startswith("SUCCESS")] == [
        "SUCCESS check of [op_5], level equal",
        "SUCCESS sub_configs[0]: equal bit for bit",
    ]
    assert lines[-1] == "INFO fuse 3 subgraph(s)"


def test_batches_and_shape_groups_are_named_and_multiply_accumulates_are_those_of_one_sample():
    made = (TAKEN, PLANNED, *compiled((0, 0, 1), (0, 0, 2), (1, 0, 1)), ("fuse", "fuse", {}))
    lines = told({"model_type": "QuantAxModel"}, *made)
    assert "INFO QuantAxModel macs: 100" in lines
    assert "INFO subgraph [0], group: 1, type: GraphType.NPU" in lines
    assert lines[-2:] == ["WARNING graph [subgraph_npu_0] batchs [1, 2]", "INFO fuse 2 subgraph(s)"]


def test_a_failed_check_is_told_as_an_error():
    config = {"model_type": "QuantAxModel", "compiler": {"check": 1}}
    verdict = VERDICT | {"passed": False, "sentence": "op_5[0]: 1 is not 2"}
    made = ("compare", "compare", {"verdict.json": json.dumps(verdict)})
    lines = told(config, TAKEN, PLANNED, *compiled((0, 0, 1)), ("fuse", "fuse", {}), made)
    assert lines[-3:-1] == ["ERROR check of [op_5], level equal", "ERROR op_5[0]: 1 is not 2"]


def test_what_fine_tuning_learnt_and_outliers_are_told_from_their_files():
    quant = {"enable_smooth_quant": True, "enable_adaround": True}
    log = "AX Adaround Reconstruction Running ...\n\n# Block [1 / 1]: [['a'] -> ['b']]\n"
    lines = told(
        {"quant": quant},
        OPTIMIZED,
        ("smooth", "smooth", {"outliers.txt": "Ratio of outliers in tensor\n"}),
        ("keep_pairs", "keep_pairs", {"smooth_quant.log": "kept 1 of 2\n"}),
        ("finish", "finish", {"finetune.log": log}),
    )
    assert lines[-6:] == [
        "INFO Enable Smooth Quant, this pass is used for outlier activation.",
        "Ratio of outliers in tensor",
        "kept 1 of 2",
        "AX Adaround Reconstruction Running ...",
        "",
        "# Block [1 / 1]: [['a'] -> ['b']]",
    ]


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({}, "normalisation of [data]: neither mean nor std, as the configuration says"),
        (
            {"input_processors": [{"tensor_name": "DEFAULT", "mean": [1], "std": [2]}]},
            "normalisation of [data]: mean [1.0], std [2.0], as the configuration says",
        ),
        (
            {"quant": {"input_configs": [PICTURES]}},
            "normalisation of [data]: mean [1.0, 2.0, 3.0], std [], as the configuration says",
        ),
    ],
)
def test_of_a_quantised_model_its_records_are_counted_and_what_inputs_are_normalised_by_is_told(config, line):
    lines = told(config | {"model_type": "QuantAxModel"}, TAKEN, PLANNED)
    assert f"INFO {line}" in lines
    at = lines.index("INFO load quantised model from [m.onnx]")
    assert lines[at + 2 : at + 6] == [
        f"{name:<30}[{count}]"
        for name, count in (
            ("Num of Op:", 2),
            ("Num of Quantized Op:", 1),
            ("Num of Variable:", 3),
            ("Num of Quantized Var:", 2),
        )
    ]
    assert "INFO preprocess tensor [data]" in lines  # what is not told of such a model is not waited for


@pytest.mark.parametrize("switch", ["enable_smooth_quant", "enable_adaround"])
def test_of_a_quantised_model_no_stage_of_quantisation_is_waited_for(switch):
    config = {"model_type": "QuantAxModel", "quant": {switch: True, "input_configs": [PICTURES]}}
    assert "INFO preprocess tensor [data]" in told(config, TAKEN, PLANNED)
