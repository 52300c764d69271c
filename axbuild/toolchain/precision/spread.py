"""What errors of inner tensors do to the float model's outputs, each by itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from axbuild.toolchain.graph import Array
from axbuild.toolchain.precision.side import Tensors
from axbuild.toolchain.precision.suffixes import Cut

Group = tuple[str, ...]
"""float tensors that are wrong at once"""


class Spread:
    """Adds up, over samples, the energy of each output and of what each group of errors changes of it."""

    def __init__(self, cut: Cut, groups: Iterable[Group]) -> None:
        self.groups = list(groups)
        self.outputs = cut.outputs
        self.suffixes = cut.suffixes(self.groups)
        self.before = sorted({name for suffix in self.suffixes for name in suffix.before})
        """tensors of the float model that are needed beside the groups' own"""
        self.signal = {group: np.zeros(len(self.outputs)) for group in self.groups}
        self.noise = {group: np.zeros(len(self.outputs)) for group in self.groups}

    def add(self, exact: Tensors, instead: Tensors, only: Sequence[Group] | None = None) -> None:
        """exact: a sample's values of all tensors that are read; instead: the wrong values of each tensor in a group;
        only: groups to be looked at on this sample."""
        chosen = set(self.groups if only is None else only)
        expected = [exact[name] for name in self.outputs]
        signal = np.array([_energy(array) for array in expected])
        for suffix in self.suffixes:
            for group in chosen.intersection(suffix.groups):
                found = suffix.run(exact, {name: instead[name] for name in group})
                self.signal[group] += signal
                self.noise[group] += [_noise(a, b) for a, b in zip(expected, found, strict=True)]

    def share(self, group: Group) -> list[float]:
        """Noise over signal of each output, in their order; an output of zeros has what is added to it."""
        signal = self.signal[group]
        return [float(share) for share in self.noise[group] / np.where(signal > 0, signal, 1.0)]

    def worst(self, count: int) -> list[Group]:
        """The groups that do most to any output."""
        return sorted(self.groups, key=lambda group: -max(self.share(group), default=0.0))[:count]


def _energy(array: Array) -> float:
    values = array.astype(np.float64).reshape(-1)
    return float(np.dot(values, values))


def _noise(exact: Array, found: Array) -> float:
    """An output whose size follows from data may change it: then nothing of it is right."""
    return _energy(found.astype(np.float64) - exact) if found.shape == exact.shape else _energy(exact)
