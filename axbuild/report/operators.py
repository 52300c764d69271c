"""The page of operators: what each one is, which of its forms can be quantised, and which chips take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axbuild.toolchain.npu.chips.table import FOLDER, ChipFile, chips_of
from axbuild.workspace.tables import Tables

if TYPE_CHECKING:
    from axbuild.toolchain.named import NamedOperator

Row = list[str]


def operators() -> str:
    """A row an operator, from the registry of the model wing and the chips' files; imports it, which takes a while."""
    chips = chips_of(Tables(FOLDER).tables)
    lines = [
        "# Operators",
        "",
        "Generated from the operators and the chips' files by `make docs`.",
        "",
        "## What has an integer form",
        "",
        "What has none, be it another operator or a form that its conditions leave out, runs on the CPU in float32,",
        "one sample at a time; the build says so, with the sentence below. What the front end fuses or rewrites does",
        "not get that far: BatchNormalization, and Mul, Sub and Div by a constant of each channel (rank 4), are",
        "weights of the convolution before or behind them, or a depthwise convolution of their own. A chip may take",
        "less than has an integer form: its limits are in the last table.",
        "",
        "In FP32 says where an operator runs that `layer_configs` gives the data_type FP32: on the NPU in float32, or",
        "on the CPU, since a sum of float32 products has no exact order. A Conv that only scales channels, as a lone",
        "BatchNormalization becomes, has none and stays on the NPU. Truth values and whole numbers have no FP32.",
        "",
        *_table(["operator", "computes", "conditions", "in FP32"], _quantised()),
        "",
        "## What stays on the CPU",
        "",
        "These have no integer form and will have none, whatever a chip lists; layers around them run on the NPU.",
        "",
        *_table(["operator", "reason"], _hosted()),
        "",
        "## What ONNX does not define",
        "",
        "Chips list a few operators that ONNX does not define, or did not at an older opset. They are read by name, in",
        "any domain of a model of opset 12 or later, where no function of the model's own has that name. A chip that",
        "lists the operator takes all that it becomes, but for what is said to be on the CPU. Operators of other",
        "domains are refused, by name.",
        "",
        *_table(["operator", "attributes, inputs and outputs", "computes", "becomes"], _named()),
        "",
        "## Where operators run",
        "",
        "NPU: where the operator has an integer form and keeps the limits, which are the vendor's public ones. A",
        "limit of some chips only names them; its sentence is also what the build says of a node that breaks it.",
        "Not yet: the chip has the operator, which has no integer form so far and runs on the CPU. Rewritten: the",
        "front end makes others of it.",
        "",
        *_table(["operator", "becomes"], _rewritten()),
        "",
        *_chips(chips),
        "",
        *_table(["operator", *(chip.name for chip in _running(chips)), "limits"], _supported(_running(chips))),
    ]
    return "\n".join(lines) + "\n"


def _running(chips: tuple[ChipFile, ...]) -> tuple[ChipFile, ...]:
    return tuple(chip for chip in chips if not chip.refused)


def _chips(chips: tuple[ChipFile, ...]) -> list[str]:
    rows = [
        [
            chip.name,
            ", ".join(chip.aliases) or "none",
            ", ".join(chip.modes) or f"none: {chip.refused}",
            str(len(chip.operators)),
        ]
        for chip in chips
    ]
    return _table(["chip", "other names", "npu_mode", "operators"], rows)


def _quantised() -> list[Row]:
    from axbuild.toolchain.npu.plan.record import CPU, NPU
    from axbuild.toolchain.ops.registry import all_ops

    return [
        [
            _link(name),
            " ".join((op.__doc__ or "").split()),
            "; ".join(limit.sentence for limit in op.limits) or "none",
            NPU if op.moves or op.reals_too else CPU if op.accumulates else "none",
        ]
        for name, op in all_ops().items()
    ]


def _hosted() -> list[Row]:
    from axbuild.toolchain.ops.host import REASONS

    return [[_link(name), reason] for name, reason in REASONS.items()]


def _named() -> list[Row]:
    from axbuild.toolchain.named import NAMED, UNDEFINED

    rows = [[own.name, own.signature, own.equation, _parts(own)] for own in NAMED.values()]
    return sorted([*rows, *([name, "", reason, "refused"] for name, reason in UNDEFINED.items())])


def _rewritten() -> list[Row]:
    from axbuild.toolchain.ops.host import REWRITTEN

    return [[_link(name), becomes] for name, becomes in REWRITTEN.items()]


def _parts(own: NamedOperator) -> str:
    from axbuild.toolchain.ops.registry import op_called

    return ", ".join(name if op_called(name) else f"{name} on the CPU" for name in own.rewritten or (own.name,))


def _supported(chips: tuple[ChipFile, ...]) -> list[Row]:
    names = sorted({name for chip in chips for name in chip.operators}, key=str.lower)
    return [[_link(name), *_marks(name, chips), "; ".join(_limits(name, chips)) or "none"] for name in names]


def _marks(name: str, chips: tuple[ChipFile, ...]) -> Row:
    from axbuild.toolchain.npu.plan.placement import place_of

    return [place_of(name, chip.support) for chip in chips]


def _limits(name: str, chips: tuple[ChipFile, ...]) -> list[str]:
    from axbuild.toolchain.npu.chips.support import limit_of

    having = [chip for chip in chips if name in chip.operators]
    sentences: dict[str, list[str]] = {}
    for chip in having:
        for text in chip.operators[name]:
            sentences.setdefault(limit_of(text).states, []).append(chip.name)
    return [
        sentence if len(those) == len(having) else f"{', '.join(those)}: {sentence}"
        for sentence, those in sentences.items()
    ]


def _link(name: str) -> str:
    from axbuild.toolchain.npu.chips.support import is_of_onnx

    return f"[{name}](https://onnx.ai/onnx/operators/onnx__{name}.html)" if is_of_onnx(name) else name


def _table(heads: Row, rows: list[Row]) -> list[str]:
    shown = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return [f"| {' | '.join(row)} |" for row in shown]
