"""`quant_model`: decode the calibration data, observe the float model on it, merge, quantise."""

from __future__ import annotations

from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.rule import (
    DEFAULT,
    Choice,
    Label,
    LabelMap,
    Record,
    Records,
    Settled,
    Stage,
    String,
    Strings,
    attributes_of,
    rule,
)

from ._nouns import BoundSamples, FloatModel, QuantModel, Samples, ops_of
from .adoption import Exporting, adopted, exported
from .fine_tuning import FineTuning, fine_tuned

DECODE = Stage("axbuild.toolchain.data.decode:decode", float=True, outputs=("samples/",), intermediate=True)
WATCH = Stage("axbuild.toolchain.quant.watch:watch", outputs=("watch.json",), named=ops_of("model"))
OBSERVE = Stage("axbuild.toolchain.quant.observe:observe", float=True, outputs=("statistics.msgpack",))
MERGE = Stage("axbuild.toolchain.quant.merge:merge", outputs=("statistics.msgpack",))
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
    op_type = String("All operators of one type.")
    op_types = Strings("All operators of several types.")
    start_tensor_names = Strings('Tensors where a sub-graph begins; ["DEFAULT"] in both lists is the whole model.')
    end_tensor_names = Strings("Tensors where it ends.")
    data_type = Choice(
        "Element type of the operators' inputs, and of an output whose readers ask for none.",
        (*_CODES, "FP32"),
        default="U8",
    )
    weight_data_type = Choice("Element type of constant weights.", ("S4", "S8", "S16"), default="S8")
    output_data_type = Choice(
        "Element type of a Conv's output; without it the one that its readers ask for.",
        (*_CODES, "FP32", ""),
        default="",
    )


@rule
class quant_model(FineTuning, Exporting):
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
    method = Choice(
        "How observed values become ranges: everything seen; all but the outermost 0.01 %; the range with the smallest "
        "squared error; the one whose codes keep most of the distribution; or Auto, which is ours: as MSE, what is cut "
        "off counted four times, with biases corrected and 16 bits into Softmax.",
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
        "Precision of chosen operators; a rule for an operator wins over one for a type, and that over a sub-graph's.",
        LayerRule,
        vendor="quant.layer_configs",
        example=[{"op_types": ["Add"], "data_type": "U16"}],
    )

    def actions(self, t: Settled, plan: Plan) -> QuantModel:
        bound = {key: decode(plan, key, samples, t.model) for key, samples in t.calibration.items()}
        watch = plan.run(WATCH, model=t.model.model)
        sets = [samples.samples for samples in bound.values()]
        observed = plan.run(
            OBSERVE,
            model=t.model.model,
            watch=watch,
            samples=sets,
            params={"inputs": input_data(bound)},
        )
        merged = plan.run(MERGE, parts=[observed])
        corrected = {"auto": None, "on": True, "off": False}[t.bias_correction]
        rules = [layer_config(t, entry) for entry in t.layer_configs]
        params = {"method": t.method, "bias_correction": corrected, "layer_configs": rules}
        calibrated = adopted(t, plan, merged, params) or plan.run(
            CALIBRATE, model=t.model.model, statistics=merged, params=params
        )
        scheme = fine_tuned(t, plan, t.model, calibrated.only, sets, input_data(bound))
        done = plan.run(QUANTIZE, model=t.model.model, scheme=scheme)
        plan.output("quant/quant_axmodel.onnx", done["quant_axmodel.onnx"])
        plan.output("quant/quant_axmodel.json", done["quant_axmodel.json"])
        exported(t, plan, scheme, done["quant_axmodel.onnx"], sets, input_data(bound))
        return QuantModel(done["quant_axmodel.onnx"], done["quant_axmodel.json"], t.model, bound)


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


def decode(plan: Plan, key: str, samples: Samples, model: FloatModel) -> BoundSamples:
    """A calibration set as tensors of the model input `key` ("DEFAULT": of every input)."""
    decoded = plan.run(
        DECODE,
        name="decode" if key == DEFAULT else f"decode_{key}",
        source=samples.source,
        interface=model.interface,
        params={
            "input": input_name(key),
            "format": samples.format,
            "size": samples.size,
            "tensor_format": samples.tensor_format,
            "mean": samples.mean,
            "std": samples.std,
        },
    )
    return BoundSamples(decoded.only, samples.format, samples.tensor_format, samples.mean, samples.std)


def input_data(bound: dict[str, BoundSamples]) -> list[dict[str, Any]]:
    """What stages are told of each tree of samples, in the same order."""
    return [
        {"name": input_name(key), "format": samples.format, "mean": samples.mean, "std": samples.std}
        for key, samples in bound.items()
    ]


def input_name(key: str) -> str:
    """A calibration key as stages know it: "" is the only input, or every one."""
    return "" if key == DEFAULT else key
