"""The state of a running build, folded from its events; what both the live display and plain lines show."""

from __future__ import annotations

from collections import Counter

from axbuild.dataclass import dataclass, field
from axbuild.engine.records.events import (
    ActionFinished,
    ActionProgress,
    ActionStarted,
    BuildFinished,
    Event,
    Fetching,
    TargetConfigured,
    TestResult,
)

EXPANSION = "expansion.json"


@dataclass
class Board:
    """total: actions known so far, a least number while `open_expansions` are left."""

    total: int = 0
    open_expansions: int = 0
    running: dict[tuple[str, str], ActionStarted] = field(default_factory=dict)
    fetching: dict[tuple[str, str], Fetching] = field(default_factory=dict)
    how_far: dict[tuple[str, str], ActionProgress] = field(default_factory=dict)
    statuses: dict[tuple[str, str], str] = field(default_factory=dict)
    tests: Counter[bool] = field(default_factory=Counter)

    def __call__(self, event: Event) -> None:
        match event:
            case TargetConfigured():
                self.total += event.actions
                self.open_expansions += event.expansions
            case Fetching():
                self.fetching[event.label, event.action] = event
            case ActionStarted():
                self.fetching.pop((event.label, event.action), None)
                self.running[event.label, event.action] = event
            case ActionProgress():
                self.how_far[event.label, event.action] = event
            case ActionFinished():
                self._finished(event)
            case TestResult():
                self.tests[event.passed] += 1
            case BuildFinished():
                self.running.clear()
                self.fetching.clear()

    def _finished(self, event: ActionFinished) -> None:
        id_ = event.label, event.action
        self.running.pop(id_, None)
        self.how_far.pop(id_, None)
        self.fetching.pop(id_, None)
        if EXPANSION in event.outputs and id_ not in self.statuses:
            self.total += event.children
            self.open_expansions += event.child_expansions - 1
        self.statuses[id_] = event.status

    @property
    def done(self) -> int:
        return len(self.statuses)

    @property
    def failed(self) -> int:
        return sum(status == "failed" for status in self.statuses.values())

    def told(self, event: ActionStarted) -> str:
        """How far a running action is, as `sample 12 of 512` or `step 40 of 500, loss 0.021`; "" where nobody knows."""
        far = self.how_far.get((event.label, event.action))
        if far is None:
            return ""
        numbers = "".join(f", {name} {value:.3g}" for name, value in far.numbers.items())
        return f"{far.what} {far.done} of {far.total}{numbers}"

    def progress(self) -> str:
        """`[3/12]`, or `[3/at least 12]` while an expansion may still add actions."""
        total = max(self.total, self.done)
        return f"[{self.done}/{'at least ' if self.open_expansions > 0 else ''}{total}]"
