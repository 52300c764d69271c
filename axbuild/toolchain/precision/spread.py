"""What errors of inner tensors do to the float model's outputs, each by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from axbuild.progress import tell
from axbuild.toolchain.graph import Array
from axbuild.toolchain.precision.side import Tensors
from axbuild.toolchain.precision.suffixes import FloatCut


class ErrorSpread:
    """Adds up, over samples, the energy of each output and of what each group of errors changes of it.

    groups: a key -> the float tensors that are wrong at once.
    """

    def __init__(self, cut: FloatCut, groups: Mapping[str, Sequence[str]]) -> None:
        self.groups = groups
        self.outputs = cut.outputs
        self.suffixes = cut.suffixes(groups)
        self.before = sorted({name for suffix, _ in self.suffixes for name in suffix.before})
        """tensors of the float model that are needed beside the groups' own"""
        self.signal = {key: np.zeros(len(self.outputs)) for key in groups}
        self.noise = {key: np.zeros(len(self.outputs)) for key in groups}

    def add(self, exact: Tensors, instead: Callable[[str], Tensors], only: Iterable[str] | None = None) -> None:
        """exact: a sample's values of all tensors that are read; instead: key -> the wrong values of its tensors; only:
        groups to be looked at on this sample."""
        chosen = set(self.groups if only is None else only)
        expected = [exact[name] for name in self.outputs]
        signal = np.array([_energy(array) for array in expected])
        wanted = [(suffix, key) for suffix, keys in self.suffixes for key in keys if key in chosen]
        for number, (suffix, key) in enumerate(wanted, 1):
            tell("error", number, len(wanted))
            found = suffix.run(exact, instead(key))
            self.signal[key] += signal
            self.noise[key] += [_noise(a, b) for a, b in zip(expected, found, strict=True)]

    def share(self, key: str) -> list[float]:
        """Noise over signal of each output, in their order; an output of zeros has what is added to it."""
        signal = self.signal[key]
        return [float(share) for share in self.noise[key] / np.where(signal > 0, signal, 1.0)]

    def worst(self, count: int) -> list[str]:
        """The groups that do most to any output."""
        return sorted(self.groups, key=lambda key: -max(self.share(key), default=0.0))[:count]


def _energy(array: Array) -> float:
    values = array.astype(np.float64).reshape(-1)
    return float(np.dot(values, values))


def _noise(exact: Array, found: Array) -> float:
    """An output whose size follows from data may change it: then nothing of it is right."""
    return _energy(found.astype(np.float64) - exact) if found.shape == exact.shape else _energy(exact)
