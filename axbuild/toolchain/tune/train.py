"""Gradient descent on a block: its outputs, computed from quantised inputs, towards those of the float model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from axbuild.progress import tell
from axbuild.toolchain.graph import Array
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.tune.arrays import to_tensor
from axbuild.toolchain.tune.learn import Learner
from axbuild.toolchain.tune.program import Numbers, TorchBlock, Values, fake_quantised

TOLD = 10
"""steps between two words of how far it is"""


@dataclass(frozen=True)
class Data:
    """A block's inputs as its program reads them, and the outputs it should have: samples along a first axis."""

    inputs: Values
    targets: Mapping[str, Tensor]

    @staticmethod
    def of(
        program: TorchBlock, inputs: Mapping[str, Array], targets: Mapping[str, Array], device: torch.device
    ) -> Data:
        held: Values = {}
        for name, edge in program.needs:
            tensor = to_tensor(inputs[name], device)
            held[name, edge] = fake_quantised(tensor, edge) if isinstance(edge, Grid) else tensor
        return Data(held, {name: to_tensor(array, device) for name, array in targets.items()})

    def of_samples(self, samples: Sequence[int]) -> Data:
        """One sample as the model has it, or several along the axis of its batch."""

        def taken(tensor: Tensor) -> Tensor:
            return tensor[samples[0]] if len(samples) == 1 else tensor[list(samples)].flatten(0, 1)

        return Data(
            {key: taken(tensor) for key, tensor in self.inputs.items()},
            {name: taken(tensor) for name, tensor in self.targets.items()},
        )


def mismatch(program: TorchBlock, data: Data, numbers: Numbers, samples: Sequence[int]) -> float:
    """How far the program is from its targets on some samples at once: the largest noise over signal of an output."""
    some = data.of_samples(samples)
    try:
        found = program.run(some.inputs, numbers)
    except RuntimeError:  # what is written for one sample may not fit the shapes of several
        return math.inf
    if any(found[name].shape != target.shape for name, target in some.targets.items()):
        return math.inf
    return max(float(_noise(found[name], target) / _noise(target)) for name, target in some.targets.items())


def _noise(x: Tensor, target: Tensor | float = 0.0) -> Tensor:
    return torch.clamp(((x - target) ** 2).mean(), min=1e-30)


@dataclass(frozen=True)
class Schedule:
    """steps: of the descent; batch: samples a step; rate: the learning rate; together: whether a batch runs as one."""

    steps: int
    batch: int
    rate: float
    together: bool


def train(program: TorchBlock, data: Data, learner: Learner, schedule: Schedule, noise: float) -> None:
    """noise: over signal, of the block as it stands: the unit in which the loss is counted.

    Where there are fewer numbers to match than to learn, the block learns more slowly by that much: what a few samples
    leave open would otherwise be learnt from their noise.
    """
    given = sum(target.numel() for target in data.targets.values())
    adam = Adam(learner.vector, learner.rates * schedule.rate * min(1.0, given / learner.vector.numel()))
    units = {name: _noise(target) * noise for name, target in data.targets.items()}
    for step, samples in enumerate(_batches(len(next(iter(data.targets.values()))), schedule)):
        numbers = learner.numbers()
        loss = sum((_loss(program, data.of_samples(part), numbers, units) for part in samples), torch.zeros(()))
        if step % TOLD == 0:  # a loss on a GPU is waited for
            tell("step", step, schedule.steps, loss=float(loss))
        penalty = learner.penalty(step / schedule.steps)
        (slope,) = torch.autograd.grad(loss if penalty is None else loss + penalty, learner.vector)
        # By a cosine to zero: what the last samples alone would like is not followed.
        adam.step(slope, 0.5 * (1.0 + math.cos(math.pi * step / schedule.steps)))


def _loss(program: TorchBlock, data: Data, numbers: Numbers, units: Mapping[str, Tensor]) -> Tensor:
    found = program.run(data.inputs, numbers)
    losses = [((found[name] - target) ** 2).mean() / units[name] for name, target in data.targets.items()]
    return torch.stack(losses).sum() if len(losses) > 1 else losses[0]


def _batches(count: int, schedule: Schedule) -> Iterator[list[list[int]]]:
    """Of each step the samples: together, or one by one. Every sample comes once before any comes again."""
    order = np.random.default_rng(0)
    waiting: list[int] = []
    for _ in range(schedule.steps):
        while len(waiting) < min(schedule.batch, count):
            waiting += order.permutation(count).tolist()
        taken, waiting = waiting[: schedule.batch], waiting[schedule.batch :]
        yield [taken] if schedule.together else [[sample] for sample in taken]


class Adam:
    """Kingma and Ba 2015, on one vector with a rate an element. torch's own imports its compiler at the first step,
    which takes longer than a small block."""

    FIRST, SECOND, TINY = 0.9, 0.999, 1e-8

    def __init__(self, vector: Tensor, rates: Tensor) -> None:
        self.vector, self.rates, self.count = vector, rates, 0
        self.mean, self.square = torch.zeros_like(rates), torch.zeros_like(rates)

    @torch.no_grad()
    def step(self, slope: Tensor, share: float) -> None:
        """share: of the rates."""
        self.count += 1
        self.mean.lerp_(slope, 1.0 - self.FIRST)
        self.square.mul_(self.SECOND).addcmul_(slope, slope, value=1.0 - self.SECOND)
        root = (self.square / (1.0 - self.SECOND**self.count)).sqrt_().add_(self.TINY)
        length = share / (1.0 - self.FIRST**self.count)
        self.vector.sub_(self.rates * self.mean / root, alpha=length)
