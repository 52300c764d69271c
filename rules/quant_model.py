"""`quant_model`: decode the calibration data, observe the float model on it, merge, quantise."""

from __future__ import annotations

from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.rule import DEFAULT, Choice, Label, LabelMap, Settled, Stage, rule

from ._nouns import BoundSamples, FloatModel, QuantModel, Samples

DECODE = Stage("axbuild.toolchain.data.decode:decode", float=True, outputs=("samples/",), intermediate=True)
OBSERVE = Stage("axbuild.toolchain.quant.observe:observe", float=True, outputs=("statistics.msgpack",))
MERGE = Stage("axbuild.toolchain.quant.merge:merge", outputs=("statistics.msgpack",))
QUANTIZE = Stage("axbuild.toolchain.quant.quantize:quantize", outputs=("quant_axmodel.onnx", "quant_axmodel.json"))


@rule
class quant_model:
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
        "How observed ranges become scales.", ("MinMax",), default="MinMax", vendor="quant.calibration_method"
    )

    def actions(self, t: Settled, plan: Plan) -> QuantModel:
        bound = {key: decode(plan, key, samples, t.model) for key, samples in t.calibration.items()}
        observed = plan.run(
            OBSERVE,
            model=t.model.model,
            samples=[samples.samples for samples in bound.values()],
            params={"inputs": input_data(bound)},
        )
        merged = plan.run(MERGE, parts=[observed])
        done = plan.run(QUANTIZE, model=t.model.model, statistics=merged, params=t.only("method"))
        plan.output("quant/quant_axmodel.onnx", done["quant_axmodel.onnx"])
        plan.output("quant/quant_axmodel.json", done["quant_axmodel.json"])
        return QuantModel(done["quant_axmodel.onnx"], done["quant_axmodel.json"], t.model, bound)


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
