"""`sub_configs`: parts of a model that are compiled apart, with options and a check of their own."""

from __future__ import annotations

from typing import Any

from axbuild.graph.plan import Plan
from axbuild.workspace.rule import Bool, Choice, Float, Int, Ints, Record, Records, Settled, Strings, attributes_of

from ._compilation import OPTIONS, PATTERNS, CompilerOptions, group_patterns, patterns_of
from ._nouns import Apart, AxModel
from .checking import (
    LAYERS,
    LEVEL_OF,
    LEVELS,
    OUTPUTS,
    answered,
    compared,
    comparison,
    fault_of,
    fitted,
    folder_of,
    sample_files,
)
from .npu_subgraph import LARGEST_BATCH, folder
from .shapes import behind

INHERITED = type("InheritedOptions", (), {name: a.optional() for name, a in attributes_of(CompilerOptions).items()})


class SubConfigEntry(INHERITED):  # type: ignore[valid-type, misc]  # a class made of another's attributes
    """A compiler option that one leaves out is the axmodel's own; one with `check` is compared with the reference by
    itself when the axmodel is built, and left out of the axmodel's other checks.

    Samples that come together run as each part's own batches, one part after another.
    """

    start_tensor_names = Strings('Tensors that the part begins at; "DEFAULT" for the model\'s inputs.', required=True)
    end_tensor_names = Strings('Tensors that the part ends at; "DEFAULT" for the model\'s outputs.', required=True)
    npu_perf = Bool("Write where the time of this part goes under compiler/debug/.").optional()
    static_batch_sizes = Ints(
        "Batches to compile this part for, whatever the model's are; the model's where nothing is listed.",
        low=1,
        high=LARGEST_BATCH,
    ).optional()
    max_dynamic_batch_size = Int(
        "Batches of this part double up to this one, as the model's do; 0: those that the model lists.",
        low=0,
        high=LARGEST_BATCH,
    ).optional()
    disable_ir_fix = Bool("Take the shapes in this part's Reshapes as they are at batches above 1, too.").optional()
    enable_data_soft_compression = Bool("Compress this part's parameters and programs in the file.").optional()
    compiler_group_patterns = group_patterns().optional()
    check = Int(
        "How this part is compared: 0 not at all, 1 close, 2 bit for bit, 3 by cosine; as the axmodel's checks say "
        "where nothing is given.",
        low=0,
        high=len(LEVELS),
    )
    check_mode = Choice("As `mode` of a check.", (OUTPUTS, LAYERS), default=OUTPUTS)
    check_rtol = Float("Relative tolerance of check 1.", low=0, default=1e-5)
    check_atol = Float("Absolute tolerance of check 1.", low=0, default=0.0)
    check_cosine = Float("Smallest cosine of check 3.", low=-1, high=1, default=0.999)
    check_tensor_black_list = Strings("As `tensor_black_list` of a check.")
    input_sample_dir = sample_files("this part")


class SubConfigs:
    """The attribute, for targets that partition and fuse."""

    sub_configs = Records(
        "Parts of the model that become subgraphs of their own, each between tensors of the quantised model.",
        SubConfigEntry,
        vendor="compiler.sub_configs",
        example=[{"start_tensor_names": ["conv_1"], "end_tensor_names": ["relu_5"], "check": 2}],
    )


def settled(t: Settled, batches: tuple[int, ...], limit: int) -> Apart:
    """What is compiled apart; a part without an option of its own has the model's. batches, limit: the model's, as
    `compile_subgraphs` takes them."""
    ends = ("start_tensor_names", "end_tensor_names")
    for number, one in enumerate(t.sub_configs):
        if empty := [name for name in ends if not getattr(one, name)]:
            raise t.error(where := f"sub_configs[{number}].{empty[0]}", f"{where} is empty", code="AX106")
        if not one.check and (odd := _given(t, number, "check_") or _given(t, number, "input_sample_dir")):
            where = f"sub_configs[{number}].{odd}"
            raise t.error(where, f"{where} has no effect without check", hint="check = 1, 2 or 3 compares this part")
    asked = [_batches(t, number, one, (batches, limit)) for number, one in enumerate(t.sub_configs)]
    differs = any(own != (batches, limit) for own in asked)
    return Apart(
        [{name: getattr(one, name) for name in ends} for one in t.sub_configs],
        [{name: _own(t, one, name) for name in OPTIONS} for one in t.sub_configs],
        tuple(number for number, one in enumerate(t.sub_configs) if one.check is not None),
        [listed for listed, _ in asked] if differs else [],
        [largest for _, largest in asked] if differs else [],
        _switched(t, "disable_ir_fix"),
        _switched(t, "enable_data_soft_compression"),
        _patterns(t),
    )


def _patterns(t: Settled) -> list[list[dict[str, Any]]]:
    """Group patterns of each part; none where all are as the model's."""
    model = list(t.plain(PATTERNS) or ())
    own = [
        patterns_of(t, f"sub_configs[{number}].{PATTERNS}", one.get(PATTERNS) or model)
        for number, one in enumerate(t.plain("sub_configs") or ())
    ]
    return own if any(one != model for one in own) else []


def _switched(t: Settled, name: str) -> list[bool]:
    """A switch of each part; none where all are as the model's."""
    own = [bool(_own(t, one, name)) for one in t.sub_configs]
    return own if any(one != getattr(t, name) for one in own) else []


def listed_batches(t: Settled, where: str, batches: tuple[int, ...]) -> tuple[int, ...]:
    """Batches in order. where: the attribute, or the place in one, that lists them."""
    if len(set(batches)) < len(batches):
        raise t.error(where, f"{where} names a batch twice", code="AX106")
    return tuple(sorted(batches))


def _batches(t: Settled, number: int, one: Record, model: tuple[tuple[int, ...], int]) -> tuple[tuple[int, ...], int]:
    """(listed, largest) of a part; whichever of the two it says leaves the model's other one out."""
    where = f"sub_configs[{number}]."
    if one.static_batch_sizes and one.max_dynamic_batch_size:
        sentence = f"{where}static_batch_sizes and {where}max_dynamic_batch_size exclude each other"
        raise t.error(f"{where}max_dynamic_batch_size", sentence, hint="leave one of them out", code="AX115")
    if one.static_batch_sizes:
        return listed_batches(t, f"{where}static_batch_sizes", one.static_batch_sizes), 0
    if one.max_dynamic_batch_size:
        return (), one.max_dynamic_batch_size
    return model if one.max_dynamic_batch_size is None else (model[0] or (1,), 0)


def profiled(t: Settled) -> list[int | None]:
    """Parts whose time is profiled, by their place; None for what is in no part."""
    asked = [number for number, one in enumerate(t.sub_configs) if _own(t, one, "npu_perf")]
    return [None, *asked] if t.npu_perf else [*asked]


def check_parts(t: Settled, plan: Plan, made: AxModel) -> None:
    """A comparison and a verdict of each part that asks for one, in each shape group."""
    asked = [(number, one) for number, one in enumerate(t.sub_configs) if one.check]
    if not asked:
        return
    for group, about, samples in fitted(plan, made, made.quant.samples):
        for number, one in asked:
            where = f"sub_configs[{number}].input_sample_dir"
            data = None if group else folder_of(t, where, one.input_sample_dir)
            answers = answered(
                plan,
                made,
                samples,
                one.check_mode,
                group=group,
                data=data,
                sub_configs=[number],
                start=number,
                name=f"answers_sub_config_{number}",
            )
            end = f"sub_config_{number}{behind(group)}"
            verdict = compared(plan, answers, _comparison(t, number, one, about), f"compare_{end}")
            plan.output(f"{folder(group)}/check/sub_config_{number}.json", verdict)


def _comparison(t: Settled, number: int, one: Record, about: str) -> dict[str, Any]:
    level = LEVELS[one.check - 1]
    for name, own in LEVEL_OF.items():
        if own != level and _given(t, number, f"check_{name}"):
            where = f"sub_configs[{number}].check_{name}"
            hint = f"it belongs to check = {LEVELS.index(own) + 1}"
            raise t.error(where, f"{where} has no effect with check = {one.check}", hint=hint)
    if fault := fault_of(one.check_tensor_black_list):
        where = f"sub_configs[{number}].check_tensor_black_list"
        raise t.error(where, f"{where}: {fault}", code="AX106")
    limits = {name: getattr(one, f"check_{name}") for name in LEVEL_OF}
    part = ", ".join(filter(None, (about, f"sub_configs[{number}]")))
    return comparison(level, one.check_mode, limits, one.check_tensor_black_list, part)


def _own(t: Settled, one: Record, name: str) -> Any:
    own = getattr(one, name)
    return getattr(t, name) if own is None else own


def _given(t: Settled, number: int, lead: str) -> str:
    """The first field of a part whose name begins so; "" where none is written."""
    return next((name for name in t.plain("sub_configs")[number] if name.startswith(lead)), "")
