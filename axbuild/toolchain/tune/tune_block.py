"""Stage: the weights of one block, tuned on its boundary; kept only where the exact integers come nearer to the float
model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir
import torch

from axbuild.errors import AxError
from axbuild.toolchain.kinds.codes import Grid
from axbuild.toolchain.quant.lowered import placed
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.tune.arrays import to_tensor
from axbuild.toolchain.tune.boundary import Boundary
from axbuild.toolchain.tune.device import opened
from axbuild.toolchain.tune.learn import Layers, Learner, LearntRounding, LearntSteps
from axbuild.toolchain.tune.passes import coded_outputs, error_of, float_outputs, reals_of
from axbuild.toolchain.tune.plan import MODEL, REPORT, SCHEME
from axbuild.toolchain.tune.program import JudgedSites, Numbers, TorchBlock
from axbuild.toolchain.tune.rebake import OwnGrid, fixes
from axbuild.toolchain.tune.report import Outcome
from axbuild.toolchain.tune.settle import float_weight, layer_of, settled
from axbuild.toolchain.tune.train import Data, Schedule, mismatch, train

ALIKE = 1e-6
"""noise over signal up to which torch and onnxruntime compute the same float block"""


@dataclass(frozen=True)
class TuneParams:
    """method: "adaround", "lsq" or "brecq"; steps of gradient descent, batch: samples a step, rate: of learning."""

    method: str
    steps: int
    batch: int
    rate: float


def tune_block(block: Path, boundary: Path, out: Path, *, params: TuneParams, device: str) -> None:
    """block: a folder as `parts` has it. Writes its tuned `scheme.msgpack`, and `report.json`."""
    given = Block(block / MODEL, Scheme.read(block / SCHEME), Boundary.read(boundary))
    found, outcome = given.tuned(params, opened(device))
    found.write(out / SCHEME)
    outcome.write(out / REPORT)


class Block:
    """A block with its data. targets: the float outputs."""

    def __init__(self, model: Path, scheme: Scheme, boundary: Boundary) -> None:
        self.graph = ir.load(model).graph
        self.scheme, self.boundary = scheme, boundary
        self.sites = placed(self.graph, scheme)
        self.targets = reals_of(float_outputs(model, boundary.float))

    def tuned(self, params: TuneParams, device: torch.device) -> tuple[Scheme, Outcome]:
        """The scheme with what was learnt; as it was where the exact integers say that nothing was gained."""
        before = self.error(self.scheme)
        if before == 0.0:
            return self.scheme, Outcome(before, before, "it has no error")
        part = JudgedSites(self.sites, tuple(self.targets), self.scheme.owners)
        layers = Layers([layer_of(place) for place in self.sites if place[1].weight is not None], device)
        together = self._together(part, layers, params.batch, device)
        if together is None:
            return self.scheme, Outcome(before, before, "torch computes it otherwise than onnxruntime")
        program = TorchBlock(part, device, rounded=True)
        data = Data.of(program, self.boundary.coded, self.targets, device)
        learner = self._learner(params.method, layers)
        train(program, data, learner, Schedule(params.steps, params.batch, params.rate, together), before)
        try:
            found = settled(self.scheme, self.sites, *learner.settled())
            after = self.error(found)
        except AxError as error:
            return self.scheme, Outcome(before, before, error.sentence)
        if after >= before:
            return self.scheme, Outcome(before, after, "nothing was gained")
        return found, Outcome(before, after)

    def error(self, scheme: Scheme) -> float:
        """By the exact integers, noise over signal of the outputs."""
        return error_of(self.targets, coded_outputs(self.graph, scheme, self.boundary.coded))

    def _learner(self, method: str, layers: Layers) -> Learner:
        if method == "adaround":
            return Learner(LearntRounding(layers), [])
        return Learner(LearntRounding(layers) if method == "brecq" else LearntSteps(layers), self._grids())

    def _grids(self) -> list[OwnGrid]:
        """The grids of 8-bit activations that are the block's alone and that no operator's arithmetic fixes."""
        fixed = {self.scheme.owners.get(name) for place in self.sites if fixes(place) for name in place[1].writes}
        found: dict[OwnGrid, None] = {}
        for _, site in self.sites:
            for name, edge in site.writes.items():
                owner = self.scheme.owners.get(name)
                if isinstance(edge, Grid) and not edge.type.wide and owner is not None and owner not in fixed:
                    found[owner, edge] = None
        return list(found)

    def _together(self, part: JudgedSites, layers: Layers, batch: int, device: torch.device) -> bool | None:
        """Whether samples of a batch can run as one; None where torch does not compute the float block at all."""
        program = TorchBlock(part, device, rounded=False)
        data = Data.of(program, self.boundary.float, self.targets, device)
        weights = [to_tensor(float_weight(layer), device) for layer in layers.layers]
        numbers = Numbers(weights, [to_tensor(layer.bias, device) for layer in layers.layers], {})
        if mismatch(program, data, numbers, [0]) > ALIKE:
            return None
        several = list(range(min(batch, self.boundary.samples)))
        return len(several) > 1 and mismatch(program, data, numbers, several) <= ALIKE
