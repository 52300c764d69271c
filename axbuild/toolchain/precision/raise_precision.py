"""Stage: 16 bits where they are needed to reach a target, and the layer rules that say so."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import onnx_ir as ir

from axbuild.errors import AxError, AxNote, counted
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.kinds.codes import S16, U16
from axbuild.toolchain.npu.chips.preset import Chip, chip_of
from axbuild.toolchain.npu.chips.records import Preset
from axbuild.toolchain.precision.cycles import all_cycles
from axbuild.toolchain.precision.search import Attempt, Decision, PrecisionSearch, Raised, needed
from axbuild.toolchain.precision.sense import SensedSource, read_sources
from axbuild.toolchain.precision.target import PrecisionTarget
from axbuild.toolchain.precision.trial import Bench, Tried
from axbuild.toolchain.quant import losses
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrated
from axbuild.toolchain.quant.emit import model_with
from axbuild.toolchain.quant.lowered import lowered
from axbuild.toolchain.quant.precision import LayerConfig, precisions
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.quant.statistics import Statistics

RULES = "auto_precision.toml"


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
    wide: Path,
    sources: Path,
    samples: list[Path],
    out: Path,
    *,
    params: RaiseParams,
) -> None:
    """scheme: as calibrated; wide: the same with all values in 16 bits; sources: sources.json. Writes `scheme.msgpack`
    and `auto_precision.toml`; raises TargetNotReachedError."""
    raising = _Raising(model, Statistics.read(statistics), Bench(model, samples, params.inputs), params)
    base = Scheme.read(scheme)
    search = raising.search(base, Scheme.read(wide), read_sources(sources))
    found = search.run()
    if not found.reached:
        raise raising.not_reached(search, found)
    chosen = raising.scheme(found.choice)
    losses.tell(raising.graph, chosen, raising.statistics)
    chosen.write(out / "scheme.msgpack")
    told = raising.told(search, found, base, chosen)
    (out / RULES).write_text(_rules_text(told, found.choice), encoding="utf-8")
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
        self.tried: dict[Raised, Tried] = {}

    def search(self, base: Scheme, wide: Scheme, sensed: Iterable[SensedSource]) -> PrecisionSearch:
        allowed = self.params.target.allowed(len(self.bench.outputs))
        relative = [replace(one, shares=_over(one.shares, allowed)) for one in sensed]
        now, then = self._cycles(base), self._cycles(wide)
        cost = self._costs(base, now, then)
        return PrecisionSearch(relative, cost, sum(now.values()) / 1000, self.measure)

    def _cycles(self, scheme: Scheme) -> dict[str, float]:
        return all_cycles(lowered(self.graph, scheme), self.chip)

    def _costs(self, base: Scheme, now: Mapping[str, float], then: Mapping[str, float]) -> dict[Decision, float]:
        """Of what may be decided: nothing about operators that a rule of the user's is for."""
        asked = precisions(self.graph, self.params.calibrate.layer_configs)
        free = {node.name or "" for node, precision in asked.items() if not precision.asked}
        cost: dict[Decision, float] = {}
        for site in base.sites:
            head = site.nodes[0]
            if head in free:
                cost[Decision(head, weight=False)] = max(0.0, then[head] - now[head])
            if head in free and site.weight is not None:
                cost[Decision(head, weight=True)] = site.weight.codes.size / self.chip.ddr_bytes
        return cost

    def measure(self, choice: Raised) -> tuple[float, ...]:
        parts = lowered(self.graph, self.scheme(choice))
        tried = self.tried[choice] = self.bench.tried(model_with(self.graph, parts))
        target = self.params.target
        return _over(target.noise(tried), target.allowed(len(self.bench.outputs)))

    def scheme(self, choice: Raised) -> Scheme:
        own = self.params.calibrate
        rules = (*own.layer_configs, *layer_rules(choice))
        return calibrated(self.graph, self.statistics, replace(own, layer_configs=rules))

    # What is said ------------------------------------------------------------------------------------------------

    def told(self, search: PrecisionSearch, found: Attempt, base: Scheme, chosen: Scheme) -> str:
        target = self.params.target
        before, after = (target.figure(self.tried[choice]) for choice in (frozenset(), found.choice))
        now, then = (sum(self._cycles(scheme).values()) for scheme in (base, chosen))
        values = sum(not decision.weight for decision in found.choice)
        weights = len(found.choice) - values
        return (
            f"{before} -> {after} ({target} was asked for) on {counted(len(self.bench.feeds), 'sample')}: "
            f"{counted(values, 'operator')} read 16 bits, {weights} have weights of 16 bits; "
            f"{then / now - 1:+.1%} of the operators' cycles on {self.chip.name} {self.chip.npu_mode}, estimated"
        )

    def not_reached(self, search: PrecisionSearch, found: Attempt) -> TargetNotReachedError:
        target = self.params.target
        held = [source for source in search.sources if not needed(source) <= found.choice]
        largest = sorted(held, key=lambda source: -max(source.shares))[:3]
        names = ", ".join(f"'{source.source.weight or source.source.tensors[0]}'" for source in largest)
        why = f"what is left comes from {names}, which layer_configs keeps" if names else "16 bits are not enough"
        return TargetNotReachedError(
            f"auto_precision comes to {target.figure(self.tried[found.choice])} with everything in 16 bits that may "
            f"be, and {target} is asked for: {why}",
            hint="ask for less, or measure with precision_report where the outputs lose it",
        )


def _over(shares: Iterable[float], allowed: Iterable[float]) -> tuple[float, ...]:
    return tuple(share / most for share, most in zip(shares, allowed, strict=True))


def layer_rules(choice: Raised) -> list[LayerConfig]:
    """One rule for all operators of the same types."""
    types: dict[tuple[str, str], list[str]] = {}
    for name in sorted({decision.name for decision in choice}):
        data = U16.name if Decision(name, weight=False) in choice else ""
        weight = S16.name if Decision(name, weight=True) in choice else ""
        types.setdefault((data, weight), []).append(name)
    return [
        LayerConfig(layer_names=tuple(names), data_type=data, weight_data_type=weight)
        for (data, weight), names in sorted(types.items())
    ]


def _rules_text(told: str, choice: Raised) -> str:
    """The rules as a BUILD file takes them."""
    lines = [f"# Found by auto_precision: {told}.", "# To keep them, put them into layer_configs of the quant_model."]
    lines += ["layer_configs = ["]
    for rule in layer_rules(choice):
        names = ", ".join(json.dumps(name, ensure_ascii=False) for name in rule.layer_names)
        types = {"data_type": rule.data_type, "weight_data_type": rule.weight_data_type}
        said = "".join(f', {key} = "{value}"' for key, value in types.items() if value)
        lines.append(f"    {{ layer_names = [{names}]{said} }},")
    return "\n".join([*lines, "]"]) + "\n"
