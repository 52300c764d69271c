"""Kinds one behind another, or side by side, that make one tensor of another: what stands before a model's input."""

from __future__ import annotations

from dataclasses import dataclass, field

from axbuild.toolchain.kinds.base import Kind


@dataclass
class Prelude:
    """Each kind with what it reads: 0 is the tensor that all begins with, n what the n-th kind made.

    The last one makes the result; without any, that is the tensor itself.
    """

    taken: list[tuple[Kind, tuple[int, ...]]] = field(default_factory=list)

    def add(self, kind: Kind, *reads: int) -> int:
        """Of what was made last, where nothing is named; the number of what it makes."""
        self.taken.append((kind, reads or (len(self.taken),)))
        return len(self.taken)
