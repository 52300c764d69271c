"""Things at half-open ranges of integers, found by what they meet."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Generic, TypeVar

Span = tuple[int, int]
"""start, stop; never empty"""

Item = TypeVar("Item")


class Spans(Generic[Item]):
    """Items by their range, several at one range if need be.

    Ranges are kept apart by the number of bits of their extent. Those of n bits that meet a range start less than 2^n
    before it, so a search looks at little more than it finds, whatever long ranges there are besides.
    """

    def __init__(self) -> None:
        self._items: dict[Span, list[Item]] = {}
        self._sorted: dict[int, list[Span]] = {}

    def __bool__(self) -> bool:
        return bool(self._items)

    def at(self, span: Span) -> list[Item]:
        """The items at exactly that range."""
        return self._items.get(span, [])

    def put(self, span: Span, item: Item) -> None:
        if span not in self._items:
            self._items[span] = []
            insort(self._sorted.setdefault((span[1] - span[0]).bit_length(), []), span)
        self._items[span].append(item)

    def take(self, span: Span, item: Item) -> None:
        """Removes what `put` added."""
        items = self._items[span]
        items.remove(item)
        if not items:
            del self._items[span]
            spans = self._sorted[(span[1] - span[0]).bit_length()]
            del spans[bisect_left(spans, span)]

    def meeting(self, start: int, stop: int) -> Iterator[Item]:
        """The items whose ranges share a number with start..stop."""
        for bits, spans in self._sorted.items():
            first = bisect_left(spans, (start - (1 << bits), 0))
            for span in spans[first : bisect_left(spans, (stop, 0))]:
                if span[1] > start:
                    yield from self._items[span]
