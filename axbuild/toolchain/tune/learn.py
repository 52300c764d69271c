"""What is learnt of a block, as vectors of torch: rounding of weights (AdaRound), weights with their steps (LSQ), and
steps of activations. All weights of a block are one vector, so that a step costs few operations however many they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from axbuild.toolchain.graph import Array
from axbuild.toolchain.tune.arrays import to_array, to_tensor
from axbuild.toolchain.tune.program import Numbers
from axbuild.toolchain.tune.rebake import OwnGrid


@dataclass(frozen=True)
class TunedLayer:
    """A weighted node before it is tuned. weight: float64 [co, ...] in steps; scale, bias: float64 [co]; start: float64
    [co], the bias that the scheme holds, corrected or not; unit: what a change of 1 of the bias is, the step of an
    8-bit output; highest: code."""

    weight: Array
    scale: Array
    bias: Array
    start: Array
    unit: float
    highest: int


@dataclass(frozen=True)
class LearntLayer:
    """What was learnt of a weighted node: integers [co, ...], scale float32 [co], bias float64 [co]."""

    codes: Array
    scale: Array
    bias: Array


class Layers:
    """The weights of all layers in one vector, channel after channel."""

    def __init__(self, layers: Sequence[TunedLayer], device: torch.device) -> None:
        self.layers = layers
        channels = [len(layer.scale) for layer in layers]
        sizes = [layer.weight.size for layer in layers]
        per_channel = [np.repeat(size // count, count) for size, count in zip(sizes, channels, strict=True)]
        self._sizes, self._channels = sizes, channels
        spread = np.concatenate(per_channel)
        self.channel = to_tensor(np.repeat(np.arange(len(spread)), spread), device)
        self.weight = _vector([layer.weight for layer in layers], device)
        self.scale = _vector([layer.scale for layer in layers], device)
        self.bias = _vector([layer.start for layer in layers], device)
        self.unit = _vector([np.full(n, layer.unit) for n, layer in zip(channels, layers, strict=True)], device)
        self.highest = _vector([np.full(n, layer.highest) for n, layer in zip(sizes, layers, strict=True)], device)

    def weights(self, reals: Tensor) -> list[Tensor]:
        """A vector of all weights, a tensor a layer."""
        parts = torch.split(reals, self._sizes)
        return [part.reshape(layer.weight.shape) for part, layer in zip(parts, self.layers, strict=True)]

    def biases(self, change: Tensor) -> list[Tensor]:
        return list(torch.split(self.bias + change * self.unit, self._channels))

    def settled(self, codes: Tensor, scale: Tensor, change: Tensor) -> list[LearntLayer]:
        scales, biases = torch.split(scale, self._channels), self.biases(change)
        return [
            LearntLayer(
                to_array(part).astype(np.int64), to_array(own).astype(np.float32), to_array(bias).astype(np.float64)
            )
            for part, own, bias in zip(self.weights(codes), scales, biases, strict=True)
        ]


def _vector(parts: Sequence[Array], device: torch.device) -> Tensor:
    return to_tensor(np.concatenate([part.reshape(-1) for part in parts]).astype(np.float32), device)


ROUND_RATE, BIAS_RATE, CODE_RATE, STEP_RATE = 30.0, 3.0, 5.0, 0.1
"""learning rates of logits, biases, codes and steps, as multiples of the one asked for: a logit must move by about 1 to
change its mind, a code by a part of a step, and a step by less than a percent"""

STRETCH_LO, STRETCH_HI = -0.1, 1.1
"""ends of the stretched sigmoid of AdaRound, so that 0 and 1 are reached (Nagel et al. 2020, section 3.2)"""
WARM_UP = 0.2
"""share of the steps without a penalty"""
BETA_START, BETA_END = 20.0, 2.0
PENALTY = 0.1


class LearntRounding:
    """AdaRound: of every weight whether it is rounded up or down; codes are else as they were."""

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.floor = torch.floor(layers.weight)
        rest = layers.weight - self.floor
        self.start = -torch.log((STRETCH_HI - STRETCH_LO) / (rest - STRETCH_LO) - 1.0)
        self.rates = torch.full_like(self.start, ROUND_RATE)

    def _share(self, vector: Tensor) -> Tensor:
        return torch.clamp(torch.sigmoid(vector) * (STRETCH_HI - STRETCH_LO) + STRETCH_LO, 0.0, 1.0)

    def reals(self, vector: Tensor) -> Tensor:
        return self._whole(self._share(vector)) * self.layers.scale[self.layers.channel]

    def _whole(self, share: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(self.floor + share, -self.layers.highest), self.layers.highest)

    def penalty(self, vector: Tensor, progress: float) -> Tensor | None:
        """Pulls each share to 0 or 1, ever more locally: sum 1 - |2h - 1|^beta, beta from 20 to 2 by a cosine."""
        if progress < WARM_UP:
            return None
        annealed = (progress - WARM_UP) / (1.0 - WARM_UP)
        beta = BETA_END + (BETA_START - BETA_END) * 0.5 * (1.0 + float(np.cos(np.pi * annealed)))
        share = self._share(vector)
        return PENALTY * (1.0 - (2.0 * share - 1.0).abs() ** beta).mean()

    def settled(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        return self._whole((vector >= 0).to(vector.dtype)), self.layers.scale


class LearntSteps:
    """LSQ: weights and the step of each channel, rounded with a gradient straight through (Esser et al. 2020)."""

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.start = torch.zeros(len(layers.weight) + len(layers.scale), device=layers.weight.device)
        self.rates = torch.full_like(self.start, CODE_RATE)
        self.rates[len(layers.weight) :] = STEP_RATE

    def _parts(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Weights in steps, and the logarithm of the change of each channel's step, an element each."""
        change, step = torch.split(vector, [len(self.layers.weight), len(self.layers.scale)])
        return self.layers.weight + change, step

    def reals(self, vector: Tensor) -> Tensor:
        weight, step = self._parts(vector)
        grown = torch.exp(step)[self.layers.channel]
        codes = weight / grown
        held = torch.minimum(torch.maximum(codes, -self.layers.highest), self.layers.highest)
        rounded = held + (torch.round(held) - held).detach()
        return rounded * grown * self.layers.scale[self.layers.channel]

    def penalty(self, vector: Tensor, progress: float) -> Tensor | None:
        return None

    def settled(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        weight, step = self._parts(vector)
        codes = torch.round(weight / torch.exp(step)[self.layers.channel])
        held = torch.minimum(torch.maximum(codes, -self.layers.highest), self.layers.highest)
        return held, self.layers.scale * torch.exp(step)


class Learner:
    """All that is learnt of a block, in one vector: weights, biases, and steps of the grids."""

    def __init__(self, weights: LearntRounding | LearntSteps, grids: Sequence[OwnGrid]) -> None:
        self.weights, self.layers, self.grids = weights, weights.layers, grids
        device = weights.start.device
        biases = len(self.layers.bias)
        self._sizes = [len(weights.start), biases, len(grids)]
        self.scales = torch.tensor([grid.scale for _, grid in grids], device=device)
        self.vector = torch.cat([weights.start, torch.zeros(biases + len(grids), device=device)]).requires_grad_()
        rest = [BIAS_RATE] * biases + [STEP_RATE] * len(grids)
        self.rates = torch.cat([weights.rates, torch.tensor(rest, device=device)])

    def numbers(self) -> Numbers:
        weight, bias, step = torch.split(self.vector, self._sizes)
        steps = self.scales * torch.exp(step)
        return Numbers(
            self.layers.weights(self.weights.reals(weight)),
            self.layers.biases(bias),
            dict(zip(self.grids, torch.split(steps, 1), strict=True)) if self.grids else {},
        )

    def penalty(self, progress: float) -> Tensor | None:
        return self.weights.penalty(torch.split(self.vector, self._sizes)[0], progress)

    def settled(self) -> tuple[list[LearntLayer], dict[OwnGrid, float]]:
        with torch.no_grad():
            weight, bias, step = torch.split(self.vector, self._sizes)
            codes, scale = self.weights.settled(weight)
            steps = to_array(self.scales * torch.exp(step)).astype(np.float32)
            found = {grid: float(new) for grid, new in zip(self.grids, steps, strict=True)}
            return self.layers.settled(codes, scale, bias), found
