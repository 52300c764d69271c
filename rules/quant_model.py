"""`quant_model`: decode the calibration data, observe the float model on it, merge, quantise."""

from __future__ import annotations

from functools import partial
from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import (
    Choice,
    Label,
    LabelMap,
    NewNames,
    Record,
    Records,
    Settled,
    Stage,
    String,
    Strings,
    attributes_of,
    rule,
)

from ._driving import PULSAR2, quantised_by_pulsar2, toolchain_attribute
from ._nouns import BoundSamples, FloatModel, Pulsar2Quant, Quantisation, QuantModel, Samples, ops_of
from .adoption import Exporting, adopted, exported
from .auto_precision import AutoPrecision, with_precision
from .easy_quant import EasyQuant, searched
from .equalisation import Equalisation, equalised
from .fine_tuning import FineTuning, fine_tuned, is_tuned
from .freeze import frozen_attribute, kept
from .measured_ranges import are_measured, measured
from .mixed_precision import MixedPrecision, asked_of, baking, quantisation, selected
from .observation import observed, observed_again
from .samples import bind, input_data
from .transformers import Transformers, smoothed
from .weight_rounding import WeightRounding, rounded

CALIBRATE = Stage("axbuild.toolchain.quant.calibrate:calibrate", outputs=("scheme.msgpack",), named=ops_of("model"))
QUANTIZE = Stage(
    "axbuild.toolchain.quant.quantize:quantize",
    outputs=("quant_axmodel.onnx", "quant_axmodel.json"),
    named=ops_of("model"),
)

_CODES = ("U8", "S8", "U16", "S16")
_SELECTORS = ("layer_name", "layer_names", "op_type", "op_types", "start_tensor_names", "end_tensor_names")


class LayerRule:
    """The precision of chosen operators: by name, by type, or all between tensors."""

    layer_name = String("One operator, by its name in the model.")
    layer_names = Strings("Several operators, by name.")
    op_type = String("All operators of one type, such as Conv, or Silu, which may be a pattern of several.")
    op_types = Strings("All operators of several types.")
    start_tensor_names = Strings('Tensors where a sub-graph begins; ["DEFAULT"] in both lists is the whole model.')
    end_tensor_names = Strings("Tensors where it ends.")
    data_type = Choice(
        "Element type of the operators' inputs, and of an output whose readers ask for none.",
        (*_CODES, "FP32"),
        default="U8",
    )
    weight_data_type = Choice(
        "Element type of constant weights; with FP32 the operator runs on the CPU.",
        ("S4", "S8", "S16", "FP32"),
        default="S8",
    )
    output_data_type = Choice(
        "Element type of a Conv's output; without it the one that its readers ask for.",
        (*_CODES, "FP32", ""),
        default="",
    )


@rule
class quant_model(
    MixedPrecision, AutoPrecision, Equalisation, WeightRounding, Transformers, EasyQuant, FineTuning, Exporting
):
    """Quantise a float model with the ranges that calibration sets show."""

    example = "quant"
    gives = QuantModel

    model = Label("The float model.", provides=FloatModel, required=True, example=":float")
    calibration = LabelMap(
        'The calibration set, or one for each model input by name; "DEFAULT" serves the other inputs.',
        provides=Samples,
        required=True,
        vendor="quant.input_configs",
        example=":calib",
    )
    state = NewNames(
        "Outputs that are an input for the next sample, and those inputs. Samples are then the steps of one sequence, "
        "in the order of their names; the state begins as zeros, and output and input share one grid.",
        example={"stateN": "state"},
    )
    method = Choice(
        "How observed values become ranges: everything seen; all but the outermost 0.01 %; the range with the smallest "
        "squared error; the one whose codes keep most of the distribution; or Auto, which is ours: as MSE, what is cut "
        "off counted as often as measuring says, with biases corrected, even channels for depthwise convolutions, "
        "weights rounded by samples, and 16 bits into Softmax.",
        ("MinMax", "Percentile", "MSE", "KL", "Auto"),
        default="MinMax",
        vendor="quant.calibration_method",
    )
    bias_correction = Choice(
        "Whether biases take back what rounding the weights adds on average; auto: where method is Auto.",
        ("auto", "on", "off"),
        default="auto",
    )
    layer_configs = Records(
        "Precision of chosen operators; a rule for an operator wins over one for a type, that over a sub-graph's, and "
        "that over the whole model's.",
        LayerRule,
        vendor="quant.layer_configs",
        example=[{"op_types": ["Add"], "data_type": "U16"}],
    )

    frozen = frozen_attribute()
    toolchain = toolchain_attribute()

    def actions(self, t: Settled, plan: Plan) -> QuantModel | Pulsar2Quant:
        if t.toolchain == PULSAR2:
            return quantised_by_pulsar2(t, attributes_of(type(self)))
        _check_state(t)
        rules = [layer_config(t, entry) for entry in t.layer_configs]
        asked = asked_of(t, rules)
        table = selected(plan, t.model, asked)
        if table is not None:
            plan.output("quant/layer_config_table.txt", table)
        bound = bind(plan, t.model, t.calibration, t.state)
        params = {
            "method": t.method,
            "bias_correction": {"auto": None, "on": True, "off": False}[t.bias_correction],
            **asked,
            "baking": baking(t),
            "state": t.state,
            "transformer_opt_level": t.transformer_opt_level,
        }
        model, scheme = _scheme(t, plan, bound, params)
        settings = quantisation(t, asked)
        done = plan.run(QUANTIZE, model=model.model, scheme=scheme, params=settings)
        plan.output("quant/quant_axmodel.onnx", done["quant_axmodel.onnx"])
        plan.output("quant/quant_axmodel.json", done["quant_axmodel.json"])
        exported(t, plan, model, scheme, done["quant_axmodel.onnx"], bound)
        made = Quantisation(t.model, scheme, settings)
        return QuantModel(done["quant_axmodel.onnx"], done["quant_axmodel.json"], model, bound, asked, t.state, made)


def _scheme(
    t: Settled, plan: Plan, bound: dict[str, BoundSamples], params: dict[str, Any]
) -> tuple[FloatModel, Artifact]:
    """The float model as it is quantised, and how. params: of calibration."""
    seen = observed(plan, t.model.model, bound)
    if t.model.given is not None:
        return t.model, adopted(t, plan, t.model.given, seen, params)
    sets, inputs = [samples.samples for samples in bound.values()], input_data(bound)
    again = partial(observed_again, plan, bound)
    model, statistics = smoothed(t, plan, seen, again, sets, {"inputs": inputs, "calibration": params})
    model, statistics = equalised(t, plan, model, statistics, sets, inputs)
    if are_measured(t):
        scheme = measured(plan, model, statistics, sets, params, inputs)
    else:
        scheme = with_precision(t, plan, CALIBRATE, model, statistics, sets, params=params, inputs=inputs)
    if t.frozen:
        return model, kept(t, plan, model, [] if is_tuned(t) else [scheme])
    scheme = rounded(t, plan, model, scheme, sets, inputs)
    scheme = searched(t, plan, model, scheme, sets, inputs)
    return model, fine_tuned(t, plan, model, scheme, sets, inputs)


def _check_state(t: Settled) -> None:
    inputs = list(t.state.values())
    if twice := sorted({name for name in inputs if inputs.count(name) > 1}):
        outputs = " and ".join(f"'{output}'" for output, name in t.state.items() if name == twice[0])
        raise t.error("state", f"state has two outputs for the input '{twice[0]}': {outputs}", code="AX115")
    for name in inputs:
        if name in t.calibration:
            sentence = f"the input '{name}' is a state, which begins as zeros, and calibration has a set for it"
            raise t.error("state", sentence, code="AX115")


def layer_config(t: Settled, entry: Record) -> dict[str, Any]:
    """One layer rule as parameters; it needs exactly one selector, and both ends of a sub-graph."""
    fields = {name: getattr(entry, name) for name in attributes_of(LayerRule)}
    given = [name for name in _SELECTORS if fields[name]]
    ends = [name for name in given if name.endswith("_tensor_names")]
    if len(given) - bool(len(ends) == 2) != 1 or len(ends) == 1:
        named = ", ".join(given) or "none"
        hint = f"give one of {', '.join(_SELECTORS[:4])}, or both start_tensor_names and end_tensor_names"
        raise t.error(
            "layer_configs", f"a layer rule needs one selector, and this has {named}", hint=hint, code="AX115"
        )
    return fields
