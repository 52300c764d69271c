"""Shape groups: a quantised model at further shapes of its inputs, and the data that those are checked on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axbuild.dataclass import replace
from axbuild.graph.plan import Plan
from axbuild.workspace.rule import List, Settled, Shapes, Stage

from ._nouns import BoundSamples, Compilable, FloatModel, QuantAxModel, QuantModel, ops_of
from .samples import DECODE, decoding, input_name

OPTIMIZE_AT = Stage(
    "axbuild.toolchain.shapes.optimize_at:optimize_at",
    float=True,
    outputs=("optimized/", "interface.json"),
    bounds="optimize",
)
QUANTIZE_AT = Stage(
    "axbuild.toolchain.shapes.quantize_at:quantize_at",
    outputs=("optimized/", "quant_axmodel.onnx", "quant_axmodel.json"),
    named=ops_of("reshaped"),
)
FIT = Stage("axbuild.toolchain.data.fit:fit", outputs=("samples/",), intermediate=True)

Sizes = Mapping[str, tuple[int, ...]]
"""input -> its shape; an input that is not named keeps the model's own"""


def extra_shapes() -> List:
    """The attribute `src_extra_shapes`."""
    return List(
        "Further shapes of the inputs, a table for each shape group; they share scales and weights with the model's "
        "own shape, at which it is quantised. Shapes are the float model's, whatever src_layout says; DEFAULT is the "
        "model's only input.",
        Shapes(""),
        vendor="input_processors.src_extra_shapes",
        example=[{"input": [1, 3, 384, 384]}],
    )


def check_groups(t: Settled) -> tuple[Sizes, ...]:
    """The further shape groups, no two of them the same."""
    groups: tuple[Sizes, ...] = tuple(t.src_extra_shapes)
    for shapes in groups:
        if not shapes or groups.count(shapes) > 1:
            fault = "has the same shapes twice" if shapes else "has a group that names no input"
            raise t.error("src_extra_shapes", f"src_extra_shapes {fault}", code="AX106")
    return groups


def behind(group: int) -> str:
    """What stands behind the names of a shape group's actions: nothing for the model's own shape."""
    return f"_shape_{group}" if group else ""


def at_shapes(t: Settled, plan: Plan, quant: Compilable, shapes: Sizes, group: int) -> QuantModel:
    """The quantised model at other shapes, on the scales and weights it has; its samples are those of its own shape."""
    if isinstance(quant, QuantAxModel):
        sentence = "the model at other shapes is made from the float model, and here it is quantised already"
        raise t.error("", sentence, hint="name a quant_model in `quant`, or leave the shapes out", code="AX591")
    made, front = quant.made, quant.made.model.front if quant.made else None
    if made is None or front is None:
        rule = "quant_model" if made is None else "float_model"
        sentence = f"the model at other shapes is made by a {rule}, and here a rule of this workspace made it"
        raise t.error("", sentence, code="AX115")
    told = {"shapes": dict(shapes)}
    reshaped = plan.run(
        OPTIMIZE_AT,
        name=f"optimize{behind(group)}",
        model=front.source,
        own=made.model.model,
        params=front.params | told,
    )
    done = plan.run(
        QUANTIZE_AT,
        name=f"quantize{behind(group)}",
        model=made.model.model,
        calibrated=quant.source.model,
        scheme=made.scheme,
        reshaped=reshaped["optimized/"],
        params={"quantisation": made.params} | told,
    )
    source = FloatModel(done["optimized/"], reshaped["interface.json"], quant.source.given)
    return replace(quant, model=done["quant_axmodel.onnx"], records=done["quant_axmodel.json"], source=source)


def samples_at(
    plan: Plan, bound: Mapping[str, BoundSamples], quant: Compilable, group: int
) -> tuple[dict[str, BoundSamples], str]:
    """Samples of the model's own shape at those of a group, and what was done to them.

    quant: of the group. Pictures are decoded at its size; arrays have no other size than their own.
    """
    states, interface = tuple(quant.state.values() if isinstance(quant, QuantModel) else ()), quant.interface
    found: dict[str, BoundSamples] = {}
    done: list[str] = []
    for key, data in bound.items():
        own = input_name(key)
        end = f"{own and '_'}{own}{behind(group)}"
        if data.format == "Image" and data.drawn is not None:
            params: dict[str, Any] = decoding(key, data.drawn, states) | {"part": True}
            source = data.drawn.source
            decoded = plan.run(DECODE, name=f"decode{end}", source=source, interface=interface, params=params)
            tree, how = decoded["samples/"], "on the pictures at that size"
        else:
            about = {"input": own, "apart": () if own else states}
            tree = plan.run(FIT, name=f"fit{end}", samples=data.samples, interface=interface, params=about).only
            how = "on the arrays repeated or cut off to it"
        found[key] = replace(data, samples=tree)
        done += [] if how in done else [how]
    return found, " and ".join(done)


def shown_sizes(shapes: Sizes) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
