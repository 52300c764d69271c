"""Which operators get 16 bits: the fewest cycles that bring every output to its target, by what each source costs it.

Errors of different sources are taken to add up, which small ones do; so what a choice leaves is estimated in no time,
and only choices that should reach the target are built and measured. What was measured then scales the estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.precision.sense import SensedSource

ROOM = 0.95
"""of the noise that is allowed, what a choice is estimated to use; less after each that did not reach it"""
CHECKS = 12
"""choices that are measured to find what is not needed after all"""


@dataclass(frozen=True)
class Decision:
    """Of one fused node, by its head: its data in 16 bits, or its weight."""

    name: str
    weight: bool


Raised = frozenset[Decision]


def needed(sensed: SensedSource) -> Raised:
    """What stills a source."""
    source = sensed.source
    if source.weight:
        return frozenset([Decision(source.weight, weight=True)])
    return frozenset(Decision(name, weight=False) for name in source.values)


@dataclass(frozen=True)
class Attempt:
    """noise: of each output over what is allowed, as measured: 1 and less reaches the target."""

    choice: Raised
    noise: tuple[float, ...]

    @property
    def reached(self) -> bool:
        return max(self.noise, default=0.0) <= 1.0


@dataclass
class PrecisionSearch:
    """sources: shares over what is allowed of each output. cost: cycles of each decision that may be taken; unit: what
    a decision counts beside them, so that few are preferred. measure: noise of a choice over what is allowed."""

    sources: Sequence[SensedSource]
    cost: Mapping[Decision, float]
    unit: float
    measure: Callable[[Raised], tuple[float, ...]]
    tried: list[Attempt] = field(default_factory=list)

    def run(self) -> Attempt:
        """The attempt to take; where none reached the target, that with everything raised."""
        best = self._measured(frozenset())
        misses = 0
        while not best.reached:
            grown = self._grown(best, ROOM ** (1 + misses))
            if grown == best.choice:
                return best
            best = self._measured(grown)
            misses += 1
        return self._pruned(best)

    def _measured(self, choice: Raised) -> Attempt:
        attempt = Attempt(choice, self.measure(choice))
        self.tried.append(attempt)
        return attempt

    def estimate(self, choice: Raised) -> Array:
        """What is left of the noise, over what is allowed, an output."""
        left = [source.shares for source in self.sources if not needed(source) <= choice]
        return np.sum(np.array(left, np.float64).reshape(len(left), -1), axis=0) if left else np.zeros(1)

    def _scale(self, attempt: Attempt) -> Array:
        """What was measured over what was estimated."""
        estimated = self.estimate(attempt.choice)
        return np.array(attempt.noise) / np.where(estimated > 0.0, estimated, np.inf)

    def _grown(self, start: Attempt, allowed: float) -> Raised:
        """The choice, with the decisions added that gain most a cycle, until the estimate is what is allowed."""
        choice, scale = start.choice, self._scale(start)
        while choice == start.choice or np.max(self.estimate(choice) * scale) > allowed:
            left = [needed(source).difference(choice) for source in self.sources]
            steps = [step for step in left if step and self._may(step)]
            if not steps:
                return choice
            choice |= max(steps, key=lambda step: self._worth(choice, step, scale))
        return choice

    def _may(self, step: Iterable[Decision]) -> bool:
        return all(decision in self.cost for decision in step)

    def _worth(self, choice: Raised, step: Set[Decision], scale: Array) -> float:
        """Noise that the step takes away, a cycle; an output that is at its target counts little."""
        before, after = self.estimate(choice) * scale, self.estimate(choice | step) * scale
        gain = float(np.sum((before - after) * np.minimum(before, 1.0)))
        return gain / sum(self.cost[decision] + self.unit for decision in step)

    def _pruned(self, best: Attempt) -> Attempt:
        """Without the decisions that are not needed, the dearest first, as far as measuring confirms it."""
        checks = 0
        for decision in sorted(best.choice, key=lambda one: (-self.cost[one], one.name, one.weight)):
            less = best.choice - {decision}
            more = (self.estimate(less) - self.estimate(best.choice)) * self._scale(self.tried[0])
            if checks < CHECKS and np.max(np.array(best.noise) + more) <= 1.0:
                checks += 1
                attempt = self._measured(less)
                best = attempt if attempt.reached else best
        return best
