"""How long a build will still take, from how long its actions took when they last ran here.

Where most of what is left has no history, nothing is said: the first actions of a build are the short ones, and their
average promised a second for twenty. Nor where one that runs is far beyond its time. What comes out unchanged spares
what follows, so the figure is rather too high than too low.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from axbuild.engine.records.events import ActionFinished, BuildStarted, Event, TargetConfigured
from axbuild.engine.records.made import Made
from axbuild.report.board import Board
from axbuild.workspace.artifact import ActionId

KNOWN_SHARE = 0.8
"""of the actions that are left, how many must have run here before"""
LATE, LATE_SECONDS = 2.0, 1.0
"""an action that runs for so many times its last time and seconds more: the machine is another than it was"""


class Forecast:
    """Folds events; `made` is what is remembered of earlier builds."""

    def __init__(self) -> None:
        self._seconds: dict[ActionId, float] = {}
        self._of_label: defaultdict[str, list[ActionId]] = defaultdict(list)
        self._labels: list[str] = []
        self._left: dict[ActionId, float] = {}
        self._done: set[ActionId] = set()
        self._ran, self._spent = 0, 0.0
        self._jobs = 1

    def remember(self, made: Mapping[ActionId, Made]) -> None:
        """May come late: reading it is only worth while once something runs."""
        for id_, one in made.items():
            self._seconds[id_] = one.seconds
            self._of_label[one.label].append(id_)
        for label in self._labels:
            self._expect(label)

    def __call__(self, event: Event) -> None:
        match event:
            case BuildStarted():
                self._jobs = event.jobs
            case TargetConfigured():
                self._labels.append(event.label)
                self._expect(event.label)
            case ActionFinished():
                id_ = event.label, event.action
                self._done.add(id_)
                self._left.pop(id_, None)
                if event.status == "executed":
                    self._ran, self._spent = self._ran + 1, self._spent + event.seconds

    def _expect(self, label: str) -> None:
        self._left |= {id_: self._seconds[id_] for id_ in self._of_label[label] if id_ not in self._done}

    def seconds_left(self, board: Board, now: float) -> float | None:
        """`now`: seconds since the build began. None while too little is known."""
        left = max(board.total - board.done, len(board.running))
        known = self._left
        if len(known) < KNOWN_SHARE * left:
            return None
        mean = self._spent / self._ran if self._ran else sum(known.values()) / len(known) if known else None
        if mean is None or not left:
            return None
        running, longest = 0.0, 0.0
        for id_, started in board.running.items():
            expected = known.get(id_, mean)
            if now - started.at > LATE * expected + LATE_SECONDS:
                return None
            running += expected
            longest = max(longest, expected - (now - started.at))
        waiting = {id_: seconds for id_, seconds in known.items() if id_ not in board.running}
        count = left - len(board.running)
        # A target may have lost actions since: its history counts as far as there are actions left for it.
        share = min(1.0, count / len(waiting)) if waiting else 0.0
        rest = sum(waiting.values()) * share + mean * max(0, count - len(waiting))
        elapsed = sum(min(known.get(id_, mean), now - started.at) for id_, started in board.running.items())
        return max(longest, (running + rest - elapsed) / max(1, min(self._jobs, left)), 0.0)
