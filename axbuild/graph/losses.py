"""What is wrong with the targets of one request, and which of them cannot be built for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from axbuild.errors import AxError
from axbuild.workspace.packages import raise_all

_HIDES_MORE = ("AX101", "AX117")
"""a file that cannot be read says nothing of the mistakes behind the first"""


class Losses:
    """The mistakes so far, and the labels that each keeps from being built."""

    def __init__(self) -> None:
        self._faults: list[AxError] = []
        self._of: dict[str, int] = {}

    def __contains__(self, label: str) -> bool:
        return label in self._of

    def __len__(self) -> int:
        return len(self._faults)

    def add(self, error: AxError, label: str = "") -> int:
        """Its number, by which others may be lost to it."""
        self._faults.append(error)
        number = len(self._faults) - 1
        if label:
            self.lose(label, number)
        return number

    def lose(self, label: str, number: int) -> None:
        self._of.setdefault(label, number)

    def follow(self, label: str, needed: Iterable[str]) -> bool:
        """Whether one of those that a target needs is lost, and so the target."""
        first = next((self._of[other] for other in needed if other in self._of), None)
        if first is not None:
            self.lose(label, first)
        return label in self._of

    def ranked(self) -> tuple[AxError, ...]:
        """The most useful to mend first: what hides others, then by how many targets wait for it, then as written."""
        counts = Counter(self._of.values())

        def rank(number: int) -> tuple[bool, int, str, int]:
            fault = self._faults[number]
            file, line = (fault.place.file, fault.place.line) if fault.place else ("", 0)
            return fault.code not in _HIDES_MORE, -counts[number], file, line

        return tuple(self._faults[number] for number in sorted(range(len(self._faults)), key=rank))

    def raise_all(self) -> None:
        raise_all(self.ranked())
