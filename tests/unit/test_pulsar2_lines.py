"""Lines of `pulsar2 build` that only some configurations give, from stored products."""

import json
from pathlib import Path

import onnx
import pytest
from onnx import helper

from axbuild.engine.records.events import ActionFinished, BuildFinished, Diagnostic
from axbuild.report.pulsar2_chapters import chapters
from axbuild.report.story import Line, Products, Story
from axbuild.toolchain.pulsar2.read import parse_config
from axbuild.toolchain.pulsar2.schema import defaulted

NET = Path(__file__).parents[2] / "examples/zoo/digits/digits.onnx"

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
SOURCE = {"name": "data", "shape": [1, 224, 224, 3], "dtype": "uint8"}
INNER = {"name": "op_5", "shape": [1, 56, 56, 144], "dtype": "uint8"}


def subgraph(number, sub_config, outputs):
    layers = {"t1": f"inside_{number}"}
    return {"name": f"subgraph_npu_{number}", "sub_config": sub_config, "outputs": outputs, "layers": layers}


PARTITION = {
    "inputs": [SOURCE],
    "inner": [INNER],
    "outputs": [{"name": "prob", "shape": [1, 1000], "dtype": "float32"}],
    "subgraphs": [subgraph(0, None, ["op_37"]), subgraph(1, 0, ["op_5"]), subgraph(2, None, ["prob"])],
}
STAGES = {"operators": 5, "tiles": 6, "after_ddr_swap": 7, "jobs": 9, "dependencies": 8}
VERDICT = {
    "passed": True,
    "level": "equal",
    "sentence": "sub_configs[0]: equal bit for bit",
    "outputs": {"op_5": {"elements": 2, "differing": 0}},
    "failing": 0,
    "worst": {"limit": 0.0},
}
PICTURES = {"tensor_name": "data", "calibration_dataset": "x.tar", "calibration_mean": [1, 2, 3]}


def report(macs, cycles):
    busy = {"conv0": 3, "conv1": 0, "sdma": 1}
    return {"macs": macs, "max_cycle": cycles, "stages": STAGES, "busy_cycles": busy}


@pytest.fixture(autouse=True)
def model(tmp_path, monkeypatch):
    """The file that a configuration names, where it names none."""
    monkeypatch.chdir(tmp_path)
    ports = [helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", ports[:1], ports[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), "m.onnx")


def told(config, *made, notes=(), over=False):
    """What a build says that made these: (stage, action, outputs, each a file's content); over: and has ended."""
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
    if over:
        story(BuildFinished(0, {}, 0.0, {}))
    return [f"{one.level} {one.text}".strip() for one in said if isinstance(one, Line)]


RECORDS = {"conv": {"data": {"state": "ACTIVATED"}, "w": {"state": "BAKED"}}, "shape": {"prob": {"state": "SOI"}}}
QUANTISED = {"interface.json": json.dumps(INTERFACE), "quant_axmodel.json": json.dumps(RECORDS)}
TAKEN = ("read_quantised", "read_quantised", QUANTISED)
OPTIMIZED = ("optimize", "optimize", {"interface.json": json.dumps(INTERFACE)})


def planned(processing, action="partition"):
    files = {"partition/": {"partition.json": json.dumps(PARTITION)}, "processing.json": json.dumps(processing)}
    return "partition", action, files


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
            "WARNING update data of const tensor [reshape_0_shape], (-1, 96, 48), S64",
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
    lines = told(
        config, TAKEN, PLANNED, *compiled((0, 0, 1), (0, 1, 1), (0, 2, 1)), ("fuse", "fuse", {}), verdict, over=True
    )
    assert "INFO group 0 compiler transformation" in lines
    assert "INFO group 0 QuantAxModel macs: 300" in lines
    assert [line for line in lines if "GraphType" in line] == [
        f"INFO subgraph [{number}], group: 0, type: GraphType.NPU" for number in range(3)
    ]
    assert sum(line == "INFO max_cycle = 1,000 (an estimate of the reference NPU)" for line in lines) == 3
    told_of_one = lines[lines.index("INFO compile npu subgraph [1] b1") :][:8]
    assert told_of_one == [
        "INFO compile npu subgraph [1] b1",
        "tiling op... 5",
        "build op... 6",
        "add ddr swap... 7",
        "calc input dependencies... 8",
        "assign eu... 2 engines",
        "INFO max_cycle = 1,000 (an estimate of the reference NPU)",
        "build jobs... 9",
    ]
    assert [line for line in lines if line.startswith("SUCCESS")] == [
        "SUCCESS check npu graph [subgraph_npu_1] [op_5], (1, 56, 56, 144), uint8 successfully! (level equal)",
        "SUCCESS sub_configs[0]: equal bit for bit",
    ]
    assert lines[-1] == "INFO fuse 3 subgraph(s)"


def test_batches_and_shape_groups_are_named_and_multiply_accumulates_are_those_of_one_sample():
    further = ("partition", "partition_shape_1", PLANNED[2])
    lines = told(
        {"model_type": "QuantAxModel"},
        TAKEN,
        PLANNED,
        further,
        *compiled((0, 0, 1), (0, 0, 2), (1, 0, 1)),
        ("fuse", "fuse", {}),
        over=True,
    )
    assert [line for line in lines if "macs" in line or "GraphType" in line] == [
        "INFO group 0 QuantAxModel macs: 100",
        "INFO group 1 QuantAxModel macs: 100",
        "INFO subgraph [0], group: 0, type: GraphType.NPU",
        "INFO subgraph [0], group: 1, type: GraphType.NPU",
    ]
    assert lines[-2:] == ["WARNING graph [subgraph_npu_0] batchs [1, 2]", "INFO fuse 2 subgraph(s)"]


def test_checks_of_the_whole_and_of_parts_are_all_told_whichever_ends_first():
    config = {"model_type": "QuantAxModel", "compiler": {"check": 2}}
    part = ("compare", "compare_sub_config_0", {"verdict.json": json.dumps(VERDICT)})
    rest = VERDICT | {"outputs": {"prob": {}}, "sentence": "the rest: equal bit for bit"}
    whole = ("compare", "compare", {"verdict.json": json.dumps(rest)})
    lines = told(config, PLANNED, *compiled((0, 0, 1)), ("fuse", "fuse", {}), part, whole, over=True)
    assert [line for line in lines if line.startswith("SUCCESS")] == [
        "SUCCESS check [prob], (1, 1000), float32 successfully! (level equal)",
        "SUCCESS the rest: equal bit for bit",
        "SUCCESS check npu graph [subgraph_npu_1] [op_5], (1, 56, 56, 144), uint8 successfully! (level equal)",
        "SUCCESS sub_configs[0]: equal bit for bit",
    ]


def test_every_shape_group_is_told_when_all_are_planned():
    processors = [{"tensor_name": "data", "src_extra_shapes": [{"shape": [1, 3, 384, 384]}]}]
    config = {"model_type": "QuantAxModel", "input_processors": processors}
    further = ("partition", "partition_shape_1", PLANNED[2])
    assert not any("transformation" in line for line in told(config, TAKEN, further))
    lines = told(config, TAKEN, further, PLANNED)
    assert [line for line in lines if "transformation" in line] == [
        "INFO group 0 compiler transformation",
        "INFO group 1 compiler transformation",
    ]


FAILED = {"passed": False, "sentence": "why", "failing": 1}


@pytest.mark.parametrize(
    ("verdict", "told_of_each"),
    [
        (
            FAILED | {"outputs": {"op_5": {"failing": 1}, "prob": {}}},
            [
                "ERROR check [op_5], (1, 56, 56, 144), uint8 failed (level equal)",
                "SUCCESS check [prob], (1, 1000), float32 successfully! (level equal)",
            ],
        ),
        (
            FAILED
            | {
                "level": "cosine",
                "worst": {"limit": 0.9},
                "outputs": {"op_5": {"cosine": "nan"}, "prob": {"cosine": 0.95}},
            },
            [
                "ERROR check [op_5], (1, 56, 56, 144), uint8 failed (level cosine)",
                "SUCCESS check [prob], (1, 1000), float32 successfully! (level cosine)",
            ],
        ),
        (  # a sample that ran on one side only is the fault of none
            {"passed": False, "sentence": "why", "outputs": {"inside_0": {}}},
            ["ERROR check [inside_0] failed (level equal)"],
        ),
    ],
)
def test_a_failed_check_is_an_error_and_so_are_the_tensors_that_failed(verdict, told_of_each):
    config = {"model_type": "QuantAxModel", "compiler": {"check": 1}}
    made = ("compare", "compare", {"verdict.json": json.dumps(VERDICT | verdict)})
    lines = told(config, TAKEN, PLANNED, *compiled((0, 0, 1)), ("fuse", "fuse", {}), made, over=True)
    assert [line for line in lines if " check [" in line] == told_of_each
    assert lines[-2:] == ["ERROR why", "INFO fuse 1 subgraph(s)"]


RECORDS = {
    "head": {
        "w": {"state": "BAKED"},
        "b": {"state": "PASSIVE_BAKED"},
        "y": {"state": "ACTIVATED"},
    },
}
ALL_PASSES = [
    "AX Set MixPrecision Pass Running ...",
    "AX Set LN Quant dtype Quant Pass Running ...",
    "AX Runtime Calibration Pass Running ...",
    "INFO Calibration Progress(Phase 1): 2 samples",
    "AX Quantization Alignment Pass Running ...",
    "AX Refine Scale Pass Running ...",
    "AX Passive Parameter Quantization Pass Running ...",
    "AX Parameter Baking Pass Running ...",
    "INFO Do quant optimization",
]


@pytest.mark.parametrize(
    ("quant", "records", "calibrated", "passes"),
    [
        ({"layer_configs": [{"op_type": "Add"}], "ln_scale_data_type": "S32"}, RECORDS, True, ALL_PASSES),
        (
            {"disable_auto_refine_scale": True, "disable_quant_optimization": True},
            {"a": {"y": {"state": "ACTIVATED"}}},
            True,
            [ALL_PASSES[2], ALL_PASSES[3], ALL_PASSES[4]],
        ),
        ({}, RECORDS, False, [*ALL_PASSES[6:8], "INFO Do quant optimization"]),
    ],
    ids=["all", "few", "brought with the model"],
)
def test_passes_are_named_that_the_quantiser_went_through_and_no_others(quant, records, calibrated, passes):
    samples = ("decode", "decode", {"samples/": {"0.npy": "a", "1.npy": "b"}})
    made = [OPTIMIZED, samples, ("spread", "spread", {}), *([("calibrate", "calibrate", {})] if calibrated else [])]
    quantised = ("quantize", "quantize", {"quant_axmodel.json": json.dumps(records)})
    lines = told({"input": str(NET), "quant": {"input_configs": [PICTURES]} | quant}, *made, quantised)
    assert [line for line in lines if "Running" in line or "Progress" in line or "optimization" in line] == passes


def test_files_are_counted_when_every_set_is_decoded_whichever_came_first():
    sets = [{"tensor_name": name, "calibration_dataset": f"{name}.tar"} for name in ("a", "b")]
    config = {"input": str(NET), "quant": {"input_configs": sets}}
    of_a = ("decode", "decode_a", {"samples/": {"0.npy": "a"}})
    of_b = ("decode", "deal_b/decode_0", {"samples/": {"0.npy": "b", "1.npy": "c"}})
    assert not any("Loaded" in line for line in told(config, OPTIMIZED, of_b))
    notes = [("decode", "input 'a': 1 sample; whole numbers"), ("survey", "input 'b': 2 samples; whole numbers")]
    lines = told(config, OPTIMIZED, of_b, of_a, ("spread", "spread", {}), notes=notes)
    begin = lines.index("INFO 2 File(s) Loaded.")
    assert lines[begin : begin + 4] == [
        "INFO 2 File(s) Loaded.",
        "INFO 1 File(s) Loaded.",
        "INFO input 'a': 1 sample; whole numbers",
        "INFO input 'b': 2 samples; whole numbers",
    ]


def test_what_fine_tuning_learnt_and_outliers_are_told_from_their_files():
    quant = {"enable_smooth_quant": True, "enable_adaround": True}
    log = "AX Adaround Reconstruction Running ...\n\n# Block [1 / 1]: [['a'] -> ['b']]\n"
    lines = told(
        {"quant": quant},
        OPTIMIZED,
        ("spread", "spread", {}),
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
