"""What a rule hands to a stage is what the stage's function takes."""

import dataclasses
import importlib
import inspect
import types
import typing

import pytest

from axbuild.engine.workers.params import params_of
from axbuild.toolchain.npu.compile import compile_subgraph
from rules_world import AXMODEL, CHAIN, CHECK, TWO_INPUTS, layer


@pytest.fixture
def lay(tmp_path):
    return layer(tmp_path)


RULES = 'layer_configs = [{ op_types = ["Add"], data_type = "U16" }]\n'
LAYERS = TWO_INPUTS.replace('model = ":float"\n', 'model = ":float"\n' + RULES)
EVERYTHING = LAYERS + AXMODEL + "input_processors = [{ tensor_name = 'b' }]\n" + CHECK
PARTS = """compiler_group_patterns = [{ nodes = [{ types = ["Conv"], properties = { group = 1 } }], type = "Slice" }]
[[axmodel.sub_configs]]
start_tensor_names = ["a"]
end_tensor_names = ["b"]
static_batch_sizes = [2]
disable_ir_fix = true
enable_data_soft_compression = true
compiler_group_patterns = [{ nodes = [{ inputs = ["a"] }], match_mode = "Tensor" }]
[[axmodel.sub_configs]]
start_tensor_names = ["b"]
end_tensor_names = ["c"]
max_dynamic_batch_size = 4
"""
ANALYSES = """
[[precision_analysis]]
name = "analysis"
quant = ":quant"
max_step = 3.0

[[precision_analysis]]
name = "npu_per_layer"
quant = ":axmodel"
mode = "NPUBackend"

[[precision_analysis]]
name = "npu_end_to_end"
quant = ":axmodel"
mode = "NPUBackend"
method = "EndToEnd"
"""
EVERYTHING += ANALYSES


def fits(value, annotation):
    """Whether a plain parameter is what the worker can build `annotation` from; what has a default may be left out."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if dataclasses.is_dataclass(annotation):
        hints = typing.get_type_hints(annotation)
        missing = dataclasses.MISSING
        fields = dataclasses.fields(annotation)
        needed = {one.name for one in fields if one.default is missing and one.default_factory is missing}
        return needed <= value.keys() <= hints.keys() and all(fits(item, hints[name]) for name, item in value.items())
    if origin is types.UnionType:
        return any(fits(value, one) for one in arguments)
    if annotation is types.NoneType:
        return value is None
    if origin is tuple:
        return isinstance(value, list) and all(fits(item, arguments[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(item, arguments[1]) for item in value.values())
    if annotation is typing.Any:
        return True
    return isinstance(value, annotation) and not (annotation is int and isinstance(value, bool))


STAGES = (
    *("optimize", "decode_b", "watch", "spread", "calibrate", "quantize"),
    *("preflight", "partition", "split", "fuse", "answers", "compare"),
    *("measure_edges", "analyse", "judge_rows", "wholly_npu", "take_apart", "float_values", "join", "simulate_parts"),
    *("simulate_layers", "measure_on_npu"),
)


@pytest.mark.parametrize("stage", ["preflight", "partition", "dynamic_batches_sub_config_1", "split", "fuse"])
def test_a_stage_takes_what_is_said_of_parts(lay, stage):
    (action,) = [one for (_, name), one in lay(CHAIN + AXMODEL + PARTS)[0].items() if name == stage]
    function = getattr(importlib.import_module(action.stage.module), action.stage.function)
    built = params_of(function, action.params)["params"]
    assert fits(action.params, type(built))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_takes_what_its_rule_passes(lay, stage):
    actions, _ = lay(EVERYTHING)
    action = next(action for (_, name), action in actions.items() if name == stage)
    function = getattr(importlib.import_module(action.stage.module), action.stage.function)
    signature = inspect.signature(function)
    assert {*action.inputs, "out"} - {*action.stage.hands_on} == signature.parameters.keys() - {"params"}
    hints = typing.get_type_hints(function)
    assert fits(action.params, hints["params"]) if "params" in hints else action.params == {}


def test_a_compilation_takes_what_split_hands_on(lay):
    actions, _ = lay(CHAIN + AXMODEL)
    split = actions["axmodel", "split"].params
    handed = {"chip": split["chip"], "options": split["options"], "batch": 1}
    assert fits(handed, typing.get_type_hints(compile_subgraph)["params"])
