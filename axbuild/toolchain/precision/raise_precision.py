"""Stage: 16 bits where they are needed to reach a target, and the layer rules that say so."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxError, AxNote, counted
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.kinds.codes import S16, U8, U16, ElementType
from axbuild.toolchain.likeness import snr_db
from axbuild.toolchain.npu.chips.preset import Chip, chip_of
from axbuild.toolchain.npu.chips.records import Preset
from axbuild.toolchain.precision.cycles import ModelCycles
from axbuild.toolchain.precision.metric import Metric
from axbuild.toolchain.precision.search import Attempt, Decision, PrecisionSearch, Raised, needed
from axbuild.toolchain.precision.sense import SensedSource, read_sources
from axbuild.toolchain.precision.side import Tensors
from axbuild.toolchain.precision.target import PrecisionTarget
from axbuild.toolchain.precision.trial import Bench, Tried
from axbuild.toolchain.quant import losses
from axbuild.toolchain.quant.calibrate import CalibrateParams, asked_of, calibrated
from axbuild.toolchain.quant.emit import model_with
from axbuild.toolchain.quant.lowered import lowered
from axbuild.toolchain.quant.precision import LayerConfig, precisions
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.quant.statistics import Statistics
from axbuild.toolchain.quant.transformer import LEVELS, of_level

RULES = "auto_precision.toml"

STEP_DB = 3
"""between the targets that are tried for a task's own figure"""
STRICTER = 1.25
"""what more is asked of the samples that choose than those that verify have missed"""


class TargetNotReachedError(AxError):
    """AX474: a target that 16 bits do not reach."""

    code = "AX474"


@dataclass(frozen=True)
class RaiseParams:
    """calibrate: as the model is calibrated with the user's own rules; target: what is to be reached; chip: whose
    cycles are counted."""

    calibrate: CalibrateParams
    target: PrecisionTarget
    chip: Preset
    inputs: tuple[InputData, ...]


def raise_precision(
    model: Path,
    statistics: Path,
    scheme: Path,
    sources: Path,
    samples: list[Path],
    metric: list[Path],
    out: Path,
    *,
    params: RaiseParams,
) -> None:
    """scheme: as calibrated; sources: sources.json; metric: the script of a task's figure, and its data if it has any.
    Writes `scheme.msgpack` and `auto_precision.toml`; raises TargetNotReachedError, MetricError."""
    raising = _Raising(model, Statistics.read(statistics), Bench(model, samples, params.inputs), params)
    known, about = (Scheme.read(scheme), read_sources(sources)), ""
    least = params.target.min_metric
    if least is None:
        found = raising.found(*known)
    else:
        found, about = raising.found_by(Metric(metric[0], metric[1:]), least, *known)
    chosen = raising.scheme(found.choice)
    losses.tell(raising.graph, chosen, raising.statistics)
    chosen.write(out / "scheme.msgpack")
    told = about + raising.told(found)
    (out / RULES).write_text(_rules_text(told, raising.rules(found.choice)), encoding="utf-8")
    warnings.warn(AxNote(f"auto_precision: {told}"), stacklevel=1)


@dataclass
class _Raising:
    model: Path
    statistics: Statistics
    bench: Bench
    params: RaiseParams

    def __post_init__(self) -> None:
        self.graph = ir.load(model_file(self.model)).graph
        self.chip: Chip = chip_of(self.params.chip)
        self.model_cycles = ModelCycles(self.graph, self.statistics, self.chip)
        asked = asked_of(self.graph, self.params.calibrate)
        self.data = {node.name or "": precision.data for node, precision in asked.items()}
        self.tried: dict[Raised, Tried] = {}
        self.costs: dict[Raised, float] = {}
        self.target = self.params.target

    def found_by(
        self, metric: Metric, least: float, base: Scheme, sensed: Sequence[SensedSource]
    ) -> tuple[Attempt, str]:
        """The first of ever more decibels with which the task's figure is reached, and a sentence about it."""
        found = Attempt(frozenset(), self.over(frozenset(), verified=False))
        decibels = math.floor(snr_db(1.0, max(self.tried[frozenset()].shares())))
        self.target = PrecisionTarget(min_snr_db=decibels)
        before = figure = metric.of(self._answers(found.choice))
        while figure < least:
            decibels += STEP_DB
            self.target = PrecisionTarget(min_snr_db=decibels)
            try:
                found = self.found(base, sensed)
            except TargetNotReachedError as error:
                raise TargetNotReachedError(
                    f"auto_precision comes to a metric of {figure:g}, and {least:g} is asked for; {error.sentence}",
                    hint=error.hint,
                ) from None
            figure = metric.of(self._answers(found.choice))
        return found, f"metric {before:g} -> {figure:g} on all samples ({least:g} was asked for): "

    def _answers(self, choice: Raised) -> Iterator[tuple[str, Tensors]]:
        return self.bench.answers(model_with(self.graph, lowered(self.graph, self.scheme(choice))))

    def found(self, base: Scheme, sensed: Sequence[SensedSource]) -> Attempt:
        """Chosen by one half of the samples so that the other half reaches the target too: what looks best on a few
        samples looks better there than it is, and then more is asked of them. Raises TargetNotReachedError."""
        strict = 1.0
        while True:
            search = self.search(base, sensed, strict)
            found = search.run()
            if not found.reached:
                raise self.not_reached(search, found)
            missed = max(self.over(found.choice, verified=True))
            if missed <= 1.0:
                return found
            strict *= STRICTER * missed

    def search(self, base: Scheme, sensed: Iterable[SensedSource], strict: float = 1.0) -> PrecisionSearch:
        """strict: how many times less noise than the target allows."""
        allowed = [most / strict for most in self.target.allowed(len(self.bench.outputs))]
        relative = [replace(one, shares=_over(one.shares, allowed)) for one in sensed]
        free = self.free(base)
        unit = self.cycles(frozenset()) / 1000

        def measure(choice: Raised) -> tuple[float, ...]:
            return tuple(strict * noise for noise in self.over(choice, verified=False))

        return PrecisionSearch(relative, free, self.groups(free), self.cycles, unit, measure)

    def free(self, base: Scheme) -> Raised:
        """What may be decided: nothing about operators that a rule of the user's is for."""
        asked = precisions(self.graph, self.params.calibrate.layer_configs)
        free = {node.name or "" for node, precision in asked.items() if not precision.asked}
        sites = [site for site in base.sites if site.nodes[0] in free]
        weights = [Decision(site.nodes[0], weight=True) for site in sites if site.weight is not None]
        return frozenset([*weights, *(Decision(site.nodes[0], weight=False) for site in sites)])

    def groups(self, free: Raised) -> list[Raised]:
        """All operators of a type, and what each level for transformers computes in 16 bits."""
        sets: dict[str, set[ir.Node]] = {}
        for node in self.graph:
            sets.setdefault(node.op_type, set()).add(node)
        levels = ({node for node, own in of_level(self.graph, level).items() if own.data.wide} for level in LEVELS)
        return [
            frozenset(Decision(node.name or "", weight=False) for node in nodes) & free
            for nodes in (*sets.values(), *levels)
        ]

    def cycles(self, choice: Raised) -> float:
        if choice not in self.costs:
            self.costs[choice] = self.model_cycles.of(self.calibration(choice))
        return self.costs[choice]

    def over(self, choice: Raised, *, verified: bool) -> tuple[float, ...]:
        """Noise of each output over what the target allows: with a margin on the half that it is chosen by, as it is on
        the one that verifies."""
        if choice not in self.tried:
            parts = lowered(self.graph, self.scheme(choice))
            self.tried[choice] = self.bench.tried(model_with(self.graph, parts))
        target, (chosen, rest) = self.target, self.tried[choice].halves()
        noise = target.noise(rest) if verified else target.safe_noise(chosen)
        return _over(noise, target.allowed(len(self.bench.outputs)))

    def scheme(self, choice: Raised) -> Scheme:
        return calibrated(self.graph, self.statistics, self.calibration(choice))

    def calibration(self, choice: Raised) -> CalibrateParams:
        own = self.params.calibrate
        return replace(own, layer_configs=(*own.layer_configs, *self.rules(choice)))

    def rules(self, choice: Raised) -> list[LayerConfig]:
        return layer_rules(choice, self.data)

    # What is said ------------------------------------------------------------------------------------------------

    def told(self, found: Attempt) -> str:
        target, (chosen, rest) = self.target, self.tried[found.choice].halves()
        before = target.figure(self.tried[frozenset()])
        now, then = self.cycles(frozenset()), self.cycles(found.choice)
        values = sum(not decision.weight for decision in found.choice)
        weights = len(found.choice) - values
        samples = counted(len(chosen.noise), "sample")
        return (
            f"{before} -> {target.figure(chosen)} on {samples} to choose by, {target.figure(rest)} on "
            f"{len(rest.noise)} to verify ({target} was asked for; other samples may fall short): "
            f"{counted(values, 'operator')} read 16 bits, {weights} have weights of 16 bits; "
            f"{then / now - 1:+.1%} of the operators' cycles on {self.chip.name} {self.chip.npu_mode}, estimated"
        )

    def not_reached(self, search: PrecisionSearch, found: Attempt) -> TargetNotReachedError:
        target, tried = self.target, self.tried[found.choice]
        held = [source for source in search.sources if not needed(source) <= found.choice]
        largest = sorted(held, key=lambda source: -max(source.shares))[:3]
        names = ", ".join(f"'{source.source.weight or source.source.tensors[0]}'" for source in largest)
        why = f"what is left comes from {names}, which layer_configs keeps" if names else "16 bits are not enough"
        return TargetNotReachedError(
            f"auto_precision comes to {target.figure(tried)} with everything in 16 bits that may be, and {target} is "
            f"asked for, with a margin for other samples: {why}",
            hint="ask for less, or measure with precision_report where the outputs lose it",
        )


def _over(shares: Iterable[float], allowed: Iterable[float]) -> tuple[float, ...]:
    return tuple(share / most for share, most in zip(shares, allowed, strict=True))


def layer_rules(choice: Raised, asked: Mapping[str, ElementType]) -> list[LayerConfig]:
    """One rule for all operators of the same types; asked: what each reads where nothing is decided, which a rule for
    its weight must not take back."""
    types: dict[tuple[str, str], list[str]] = {}
    for name in sorted({decision.name for decision in choice}):
        own = asked.get(name, U8)
        data = U16.name if Decision(name, weight=False) in choice else own.name if own != U8 else ""
        weight = S16.name if Decision(name, weight=True) in choice else ""
        types.setdefault((data, weight), []).append(name)
    return [
        LayerConfig(layer_names=tuple(names), data_type=data, weight_data_type=weight)
        for (data, weight), names in sorted(types.items())
    ]


def _rules_text(told: str, rules: Sequence[LayerConfig]) -> str:
    """The rules as a BUILD file takes them."""
    lines = [f"# Found by auto_precision: {told}.", "# To keep them, put them into layer_configs of the quant_model."]
    lines += ["layer_configs = ["]
    for rule in rules:
        names = ", ".join(json.dumps(name, ensure_ascii=False) for name in rule.layer_names)
        types = {"data_type": rule.data_type, "weight_data_type": rule.weight_data_type}
        said = "".join(f', {key} = "{value}"' for key, value in types.items() if value)
        lines.append(f"    {{ layer_names = [{names}]{said} }},")
    return "\n".join([*lines, "]"]) + "\n"
