"""Lines of `pulsar2 build` that only some configurations give, from stored products."""

import json

import pytest

from axbuild.engine.records.events import ActionFinished, Diagnostic
from axbuild.report.pulsar2_chapters import chapters
from axbuild.report.story import Line, Products, Story
from axbuild.toolchain.pulsar2.read import parse_config
from axbuild.toolchain.pulsar2.schema import defaulted

INTERFACE = {
    "inputs": [{"name": "data", "shape": [1, 3, 224, 224], "dtype": "float32"}],
    "outputs": [{"name": "prob", "shape": [1, 1000], "dtype": "float32"}],
}
SOURCE = {"name": "data", "shape": [1, 224, 224, 3], "dtype": "uint8"}
PARTITION = {"inputs": [SOURCE], "outputs": [{"name": "prob", "shape": [1, 1000], "dtype": "float32"}]}
STAGES = {"operators": 5, "tiles": 6, "after_ddr_swap": 7, "jobs": 9, "dependencies": 8}
VERDICT = {"passed": True, "level": "equal", "sentence": "sub_configs[0]: equal bit for bit", "outputs": {"op_5": {}}}
PICTURES = {"tensor_name": "data", "calibration_dataset": "x.tar", "calibration_mean": [1, 2, 3]}


def report(macs, cycles):
    return {"macs": macs, "max_cycle": cycles, "stages": STAGES}


def told(config, *made, notes=()):
    """What a build says that made these: (stage, action, outputs, each a file's content)."""
    stored = {}

    def kept(content):
        if isinstance(content, dict):
            return {name: kept(item) for name, item in content.items()}
        return stored.setdefault(content, content)

    said = []
    resolved = defaulted(parse_config(json.dumps({"output_dir": "out"} | config), "c.json"))
    story = Story(chapters(resolved), Products(lambda digest: stored[digest].encode()), said.append)
    for stage, sentence in notes:
        story(Diagnostic("//:m", stage, stage, "", sentence, True))
    for stage, action, outputs in made:
        story(ActionFinished("//:m", action, stage, stage, "", "up_to_date", "", 0.0, outputs=kept(outputs)))
    return [f"{one.level} {one.text}".strip() for one in said if isinstance(one, Line)]


OPTIMIZED = ("optimize", "optimize", {"interface.json": json.dumps(INTERFACE)})
PLANNED = ("partition", "partition", {"partition/": {"partition.json": json.dumps(PARTITION)}})


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


BYTES = {"tensor_name": "data", "src_dtype": "U8", "src_layout": "NHWC"}


@pytest.mark.parametrize(
    ("processor", "operators"),
    [
        (BYTES, ["AxDequantizeLinear", "AxNormalize", "AxTranspose"]),
        (BYTES | {"mean": [0, 0, 0], "std": [1, 1, 1]}, ["AxDequantizeLinear", "AxTranspose"]),
        (BYTES | {"src_layout": "NCHW"}, ["AxDequantizeLinear", "AxNormalize"]),
        ({"tensor_name": "DEFAULT", "mean": [0], "std": [1]}, []),
    ],
)
def test_operators_in_front_are_told_where_they_are_inserted(processor, operators):
    config = {"input_processors": [processor], "quant": {"input_configs": [PICTURES]}, "model_type": "QuantAxModel"}
    lines = told(config, ("decode", "decode", {"samples/": {}}), PLANNED)
    between = lines[lines.index("INFO preprocess tensor [data]") : lines.index("INFO postprocess tensor [prob]")]
    assert [line.split(", ")[1] for line in between if line.startswith("INFO op: ")] == operators
    assert "INFO tensor: data, (1, 224, 224, 3), U8" in between


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
    lines = told(config, PLANNED, *compiled((0, 0, 1), (0, 1, 1), (0, 2, 1)), ("fuse", "fuse", {}), verdict)
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
    lines = told(
        {"model_type": "QuantAxModel"}, PLANNED, *compiled((0, 0, 1), (0, 0, 2), (1, 0, 1)), ("fuse", "fuse", {})
    )
    assert "INFO QuantAxModel macs: 100" in lines
    assert "INFO subgraph [0], group: 1, type: GraphType.NPU" in lines
    assert lines[-2:] == ["WARNING graph [subgraph_npu_0] batchs [1, 2]", "INFO fuse 2 subgraph(s)"]


def test_a_failed_check_is_told_as_an_error():
    config = {"model_type": "QuantAxModel", "compiler": {"check": 1}}
    verdict = VERDICT | {"passed": False, "sentence": "op_5[0]: 1 is not 2"}
    made = ("compare", "compare", {"verdict.json": json.dumps(verdict)})
    lines = told(config, PLANNED, *compiled((0, 0, 1)), ("fuse", "fuse", {}), made)
    assert lines[-3:-1] == ["ERROR check of [op_5], level equal", "ERROR op_5[0]: 1 is not 2"]


def test_what_fine_tuning_learnt_and_outliers_are_told_from_their_files():
    quant = {"enable_smooth_quant": True, "enable_adaround": True}
    log = "AX Adaround Reconstruction Running ...\n\n# Block [1 / 1]: [['a'] -> ['b']]\n"
    lines = told(
        {"model_type": "QuantAxModel", "quant": quant},
        ("smooth", "smooth", {"outliers.txt": "Ratio of outliers in tensor\n"}),
        ("keep_pairs", "keep_pairs", {"smooth_quant.log": "kept 1 of 2\n"}),
        ("finish", "finish", {"finetune.log": log}),
    )
    assert lines == [
        "INFO Enable Smooth Quant, this pass is used for outlier activation.",
        "Ratio of outliers in tensor",
        "kept 1 of 2",
        "AX Adaround Reconstruction Running ...",
        "",
        "# Block [1 / 1]: [['a'] -> ['b']]",
    ]
