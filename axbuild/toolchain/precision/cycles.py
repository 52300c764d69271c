"""What a quantised model costs on a chip by its kinds' own cost: to compare precisions by; it is no schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from axbuild.toolchain.graph import Shape, is_static, shape_of
from axbuild.toolchain.kinds.base import whole_box
from axbuild.toolchain.npu.chips.preset import Chip
from axbuild.toolchain.ops.base import Between, Ref, Step
from axbuild.toolchain.quant.lowered import LoweredNode


def part_cycles(part: LoweredNode, chip: Chip) -> float:
    """Of one fused node, its constants' way from the DDR included; 0 where it stays a float operator."""
    shapes: dict[Ref, Shape] = {}
    for value in (*part.fused.inputs, *part.fused.inner, *part.fused.outputs):
        if value.name and is_static(value):
            shapes[value.name] = shape_of(value)
    total = 0.0
    for step in part.steps:
        total += _step_cycles(step, shapes, chip)
        if isinstance(step.output, Between):
            shapes[step.output] = step.shape
    return total


def _step_cycles(step: Step, shapes: Mapping[Ref, Shape], chip: Chip) -> float:
    inputs = [shapes[ref] for ref in step.inputs]
    if step.kind.view(*inputs):
        return 0.0
    held = sum(array.nbytes for array in step.kind.constants().values())
    busy = step.kind.job_cycles(whole_box(step.shape), chip.rates, *inputs)
    return chip.op_overhead + max(busy, held / chip.ddr_bytes)


def all_cycles(parts: Sequence[LoweredNode], chip: Chip) -> dict[str, float]:
    """Head of each fused node -> its cycles."""
    return {part.fused.name: part_cycles(part, chip) for part in parts}
