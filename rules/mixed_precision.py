"""Element types of a quantised model beyond layer rules, and what these select, told before anything slow runs."""

from __future__ import annotations

from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.rule import Bool, Choice, Float, Int, Records, Settled, Stage, String, Values

from ._nouns import FloatModel, ops_of

SELECT = Stage("axbuild.toolchain.quant.select:select", outputs=("layer_config_table.txt",), named=ops_of("model"))

OFF = -1.0
"""refine_weight_threshold that raises no scale"""


class QuantOpProcessor:
    """Attributes of one operator of the quantised model, overwritten."""

    op_name = String("The operator's name in quant_axmodel.onnx.")
    attrs = Values("Its attributes, as that file shows them, and their new values.")


class MixedPrecision:
    """Element types of everything at once, of biases and scales, and how closely the model keeps to what was asked."""

    highest_mix_precision = Bool(
        "16 bits for all operators that no layer rule is for: U16, with S16 weights.",
        vendor="quant.highest_mix_precision",
    )
    conv_bias_data_type = Choice(
        "Element type of the biases of convolutions and fully connected layers: integers in steps of their sums, or "
        "FP32, which leaves small scales of weights as they are.",
        ("S32", "FP32"),
        default="S32",
        vendor="quant.conv_bias_data_type",
    )
    refine_weight_threshold = Float(
        "Smaller scales of a weight's channels are raised to this, as far as no output shows it: 0 or more and below "
        "1e-4; -1 raises none.",
        low=OFF,
        high=1e-4,
        default=1e-6,
        vendor="quant.refine_weight_threshold",
    )
    disable_auto_refine_scale = Bool(
        "Leave all scales as calibrated. Otherwise those of weights are raised where the bias would not fit its bits, "
        "or the product its shift.",
        vendor="quant.disable_auto_refine_scale",
    )
    ln_scale_data_type = Choice(
        "Element type of the scales of normalisations, in steps of their outputs: FP32, or 32-bit fixed point, with a "
        "sign or without, which holds no negative scale.",
        ("FP32", "S32", "U32"),
        default="FP32",
        vendor="quant.ln_scale_data_type",
    )
    disable_quant_optimization = Bool(
        "Leave every operator by itself, to find out what fusing them does: no Relu in the operator before it, no "
        "activation on its exact sums.",
        vendor="quant.disable_quant_optimization",
    )
    quant_op_processors = Records(
        "Attributes of operators of the quantised model to overwrite; shapes behind them follow.",
        QuantOpProcessor,
        vendor="quant_op_processors",
        example=[{"op_name": "MaxPool_3", "attrs": {"pads": [0, 0, 1, 1]}}],
    )
    check = Int(
        "1 fails where an operator does not have the data types that layer_configs and highest_mix_precision ask for; "
        "0 looks at none.",
        low=0,
        high=1,
        default=0,
        vendor="quant.check",
    )


def asked_of(t: Settled, rules: list[dict[str, Any]]) -> dict[str, Any]:
    """What decides the element type of every operator, as parameters."""
    return {"layer_configs": rules, **t.only("highest_mix_precision", "disable_quant_optimization")}


def baking(t: Settled) -> dict[str, Any]:
    """How weights and biases become codes, as parameters."""
    threshold = t.refine_weight_threshold
    if OFF < threshold < 0 or threshold >= 1e-4:
        sentence = f"refine_weight_threshold is {threshold:g}; it must be 0 or more and below 1e-4, or -1"
        raise t.error("refine_weight_threshold", sentence, code="AX106")
    return t.only("conv_bias_data_type", "refine_weight_threshold", "disable_auto_refine_scale", "ln_scale_data_type")


def quantisation(t: Settled, asked: dict[str, Any]) -> dict[str, Any]:
    """The parameters of quantisation: patches, and what was asked for, where it is checked."""
    checked = asked if t.check else {"layer_configs": [], "highest_mix_precision": False}
    types = {name: checked[name] for name in ("layer_configs", "highest_mix_precision")}
    return {**types, "check": t.check, "quant_op_processors": op_patches(t)}


def op_patches(t: Settled) -> list[dict[str, Any]]:
    """The attribute `quant_op_processors` as parameters."""
    return [{"op_name": entry.op_name, "attrs": entry.attrs} for entry in t.quant_op_processors]


def selected(plan: Plan, model: FloatModel, asked: dict[str, Any]) -> Artifact | None:
    """The table of what was asked for, operator by operator; None where nothing was."""
    if not (asked.get("layer_configs") or asked.get("highest_mix_precision")):
        return None
    return plan.preflight(SELECT, model=model.model, params=asked).only
