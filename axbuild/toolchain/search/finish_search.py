"""Stage: the searched blocks put into the scheme, one after the other, each where the whole model comes nearer by it.

A block's own error says little of the model's: on pictures with an even background how one value rounds is the same
everywhere, and what is won in a layer is lost behind it. So every block is a proposal, and has to help on both halves
of the samples: what helps on a few by chance does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import onnx_ir as ir

from axbuild.errors import AxError
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune.boundary import Tensors
from axbuild.toolchain.tune.floats import float_tensors
from axbuild.toolchain.tune.log import head, told, write_log
from axbuild.toolchain.tune.passes import coded_outputs, error_of, float_outputs, reals_of
from axbuild.toolchain.tune.plan import PLAN, REPORT, SCHEME, read_plan
from axbuild.toolchain.tune.rebake import together
from axbuild.toolchain.tune.report import Outcome

JUDGED = 32
"""samples at most that judge, spread over all"""
GAIN = 0.98
"""A block is kept where each half's error falls to this share of it, or lower"""
REFUSAL = "the whole model does not gain"


@dataclass(frozen=True)
class FinishSearchParams:
    """inputs: as observation has them."""

    inputs: tuple[InputData, ...]


@dataclass(frozen=True)
class WholeModel:
    """inputs, target: of the float model, on the samples that judge."""

    graph: ir.Graph
    inputs: Tensors
    target: Tensors

    def errors(self, start: Scheme, parts: Sequence[Scheme]) -> tuple[float, ...]:
        """Noise over signal of the outputs, by exact integers, of the even samples and of the odd ones; infinite where
        numbers do not fit."""
        try:
            found = coded_outputs(self.graph, together(start, parts), self.inputs)
        except AxError:
            return (math.inf,)
        halves = [slice(first, None, 2) for first in range(min(2, len(next(iter(found.values())))))]
        return tuple(
            error_of(*({name: tensors[name][half] for name in self.target} for tensors in (self.target, found)))
            for half in halves
        )


def finish_search(
    model: Path, scheme: Path, blocks: Path, found: Path, samples: list[Path], out: Path, *, params: FinishSearchParams
) -> None:
    """found: <i>/scheme.msgpack and <i>/report.json of block i. Writes `scheme.msgpack` and `easy_quant.log`."""
    start, plan = Scheme.read(scheme), read_plan(blocks / PLAN)
    outcomes = {number: Outcome.read(found / str(number) / REPORT) for number in range(len(plan))}
    inputs = float_tensors(model_file(model), (), samples, params.inputs, JUDGED)
    whole = WholeModel(ir.load(model_file(model)).graph, inputs, reals_of(float_outputs(model_file(model), inputs)))
    before = least = whole.errors(start, [])
    kept: list[Scheme] = []
    for number in sorted(outcomes, key=lambda number: outcomes[number].after / max(outcomes[number].before, 1e-30)):
        if outcomes[number].refusal:
            continue
        proposed = [*kept, Scheme.read(found / str(number) / SCHEME)]
        errors = whole.errors(start, proposed)
        if all(new < GAIN * old for new, old in zip(errors, least, strict=False)):
            kept, least = proposed, errors
        else:
            outcomes[number] = replace(outcomes[number], refusal=REFUSAL)
    together(start, kept).write(out / SCHEME)
    rows = {"Collecting Device": "cpu", "Num of blocks": len(plan), "Blocks kept": len(kept)}
    header = head("AX EasyQuant Reconstruction Running ...", rows)
    write_log(out / "easy_quant.log", header, told(plan, outcomes), mean(before), mean(least))
