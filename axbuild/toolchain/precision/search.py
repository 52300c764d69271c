"""Which operators get 16 bits: the fewest cycles that bring every output to its target, by what each source costs it.

Errors of different sources are taken to add up, which small ones do; so what a choice leaves is estimated in no time,
and only choices that should reach the target are built and measured. What was measured then scales the estimate.

Two ways lead there: up from 8 bits, by what brings most a cycle, and down from 16 bits, by what saves most for the
noise it lets back in. Where the model in 8 bits is far off, errors do not add up, and only the way down is sure of its
estimates; where little is missing, the way up has little to do. Either ends in the way down, and the cheaper is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.precision.sense import SensedSource

ROOM = 0.95
"""of the noise that is allowed, what a choice is estimated to use; less after each that did not reach it"""
CHECKS = 16
"""choices that are measured on a way down"""
DOUBT = 3.0
"""how many times the noise that is left over a single step may be estimated to make, to be measured all the same"""
UNKNOWN = float("inf")


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
    def most(self) -> float:
        return max(self.noise, default=0.0)

    @property
    def reached(self) -> bool:
        return self.most <= 1.0


@dataclass
class PrecisionSearch:
    """sources: shares over what is allowed of each output. free: decisions that may be taken; groups: some of them that
    are worth trying together, beside what each source needs. cycles: of a choice; unit: what a decision counts beside
    them, so that few are preferred. measure: noise of a choice over what is allowed."""

    sources: Sequence[SensedSource]
    free: Raised
    groups: Sequence[Raised]
    cycles: Callable[[Raised], float]
    unit: float
    measure: Callable[[Raised], tuple[float, ...]]
    tried: dict[Raised, Attempt] = field(default_factory=dict)

    def run(self) -> Attempt:
        """The attempt to take; where none reached the target, that with everything raised."""
        start = self._measured(frozenset())
        if start.reached:
            return start
        top = self._top()
        if not top.reached:
            return top
        ways = (self._lowered(top), self._lowered(self._raised(start)))
        return min(ways, key=lambda way: self._price(way.choice))

    @cached_property
    def steps(self) -> list[Raised]:
        """Decisions that make sense together."""
        sets = [*map(needed, self.sources), *self.groups]
        return list(dict.fromkeys(step for step in sets if step and step <= self.free))

    def estimate(self, choice: Raised) -> Array:
        """What is left of the noise, over what is allowed, an output."""
        left = [source.shares for source in self.sources if not needed(source) <= choice]
        return np.sum(np.array(left, np.float64).reshape(len(left), -1), axis=0) if left else np.zeros(1)

    def _measured(self, choice: Raised) -> Attempt:
        if choice not in self.tried:
            self.tried[choice] = Attempt(choice, self.measure(choice))
        return self.tried[choice]

    def _price(self, choice: Raised) -> float:
        return self.cycles(choice) + self.unit * len(choice)

    def _top(self) -> Attempt:
        """Every value that is a source in 16 bits, and where that is not enough every weight."""
        steps = [needed(source) for source in self.sources if needed(source) <= self.free]
        values = frozenset[Decision]().union(*(step for step in steps if not any(one.weight for one in step)))
        reached = self._measured(values)
        return reached if reached.reached else self._measured(values.union(*steps))

    # Up ---------------------------------------------------------------------------------------------------------

    def _raised(self, start: Attempt) -> Attempt:
        """With what gains most a cycle, until the target is reached."""
        best, allowed = start, ROOM
        while not best.reached:
            best, allowed = self._measured(self._grown(best, allowed)), allowed * ROOM
        return best

    def _grown(self, start: Attempt, allowed: float) -> Raised:
        """The choice with the best steps, until the estimate is what is allowed."""
        choice, scale = start.choice, self._scale(start)
        known: dict[Raised, float] = {}
        while choice == start.choice or np.max(self.estimate(choice) * scale) > allowed:
            left = dict.fromkeys(step - choice for step in self.steps if step - choice)
            if not left:
                return choice
            choice |= _best(left, known, partial(self._gain, choice, scale))
        return choice

    def _scale(self, attempt: Attempt) -> Array:
        """What was measured over what was estimated."""
        estimated = self.estimate(attempt.choice)
        return np.array(attempt.noise) / np.where(estimated > 0.0, estimated, np.inf)

    def _gain(self, choice: Raised, scale: Array, step: Raised) -> float:
        """Noise that the step takes away, a cycle; an output that is at its target counts little."""
        before, after = self.estimate(choice) * scale, self.estimate(choice | step) * scale
        gain = float(np.sum((before - after) * np.minimum(before, 1.0)))
        return gain / max(self._price(choice | step) - self._price(choice), self.unit)

    # Down -------------------------------------------------------------------------------------------------------

    def _lowered(self, best: Attempt) -> Attempt:
        """Without what is not needed, as far as measuring confirms it: where steps back are too many together, the
        first half of them is tried, since their noise is known less well than their order."""
        scale, most, refused = 1.0, len(self.free), set[Raised]()
        for _ in range(CHECKS):
            taken = self._taken(best, scale, refused, most)
            if not taken:
                break
            attempt = self._measured(best.choice.difference(*taken))
            if attempt.reached:
                estimated = float(np.max(self.estimate(attempt.choice) - self.estimate(best.choice)))
                scale = max((attempt.most - best.most) / estimated, scale / 4.0) if estimated > 0.0 else scale
                best, most = attempt, max(2 * most, 1)
            elif len(taken) == 1:
                refused.update(taken)
            else:
                most = len(taken) // 2
        return best

    def _taken(self, best: Attempt, scale: float, refused: Set[Raised], most: int) -> list[Raised]:
        """At most so many steps back that save most for the noise they make, as there is room for; where there is none,
        the best one that may yet do."""
        taken: list[Raised] = []
        choice, known = best.choice, dict[Raised, float]()
        while len(taken) < most:
            steps = [step for step in self._back(choice) if step not in refused]
            fitting = [step for step in steps if self._noise(best, choice - step, scale) <= 1.0]
            if not fitting and not taken:
                fitting = [step for step in steps if self._noise(best, choice - step, scale) <= DOUBT]
            if not fitting:
                break
            step = _best(fitting, known, partial(self._saving, best, choice, scale))
            if known[step] <= 0.0:
                break
            taken.append(step)
            choice -= step
        return taken

    def _back(self, choice: Raised) -> Iterable[Raised]:
        """What may be taken back: each decision, and those that make sense together."""
        singles = [frozenset([decision]) for decision in sorted(choice, key=lambda one: (one.name, one.weight))]
        return dict.fromkeys((*singles, *(step & choice for step in self.steps if step & choice)))

    def _noise(self, best: Attempt, choice: Raised, scale: float) -> float:
        """What a choice below `best` is estimated to add, over what there is room for."""
        added = float(np.max(self.estimate(choice) - self.estimate(best.choice))) * scale
        return added / max(ROOM - best.most, 1.0 - ROOM)

    def _saving(self, best: Attempt, choice: Raised, scale: float, step: Raised) -> float:
        """Cycles that the step back saves for its noise; a step that makes hardly any is no better than one that makes
        a hundredth of what there is room for."""
        less = choice - step
        noise = self._noise(best, less, scale) - self._noise(best, choice, scale)
        return (self._price(choice) - self._price(less)) / max(noise, 0.01)


def _best(steps: Iterable[Raised], known: dict[Raised, float], worth: Callable[[Raised], float]) -> Raised:
    """The step of most worth. known: what each was worth when it was last asked: that changes little from step to step,
    so that only those are asked again which were worth more than the best."""
    best: Raised | None = None
    for step in sorted(steps, key=lambda step: -known.get(step, UNKNOWN)):
        if best is not None and known.get(step, UNKNOWN) <= known[best]:
            break
        known[step] = worth(step)
        if best is None or known[step] > known[best]:
            best = step
    if best is None:
        raise ValueError("there is no step to choose")
    return best
