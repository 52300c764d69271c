"""Stage: of the pairs that could be smoothed, those that bring the exact integers nearer to the float model."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir

from axbuild.errors import AxNote, AxWarning
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.quant.calibrate import CalibrateParams, calibrated
from axbuild.toolchain.quant.lowered import placed
from axbuild.toolchain.quant.scheme import Scheme
from axbuild.toolchain.quant.statistics import Statistics
from axbuild.toolchain.smooth.pairs import Pair, read_pairs
from axbuild.toolchain.smooth.scale import ScaledPair, place, scale, touched
from axbuild.toolchain.smooth.smooth import write_model
from axbuild.toolchain.tune.blocks import TuningBlock, block_of
from axbuild.toolchain.tune.boundary import Tensors
from axbuild.toolchain.tune.floats import float_tensors
from axbuild.toolchain.tune.parts import cut_out
from axbuild.toolchain.tune.passes import coded_outputs, decibels, error_of, float_outputs, reals_of

JUDGED = 8
"""samples at most that judge, spread over all"""


@dataclass(frozen=True)
class KeepPairsParams:
    """inputs: as observation has them; calibration: by which the scheme is chosen that judges."""

    inputs: tuple[InputData, ...]
    calibration: CalibrateParams


@dataclass(frozen=True)
class Variant:
    """A float model with some pairs smoothed, and the scheme that calibration chooses for it."""

    whole: ir.Model
    parts: list[ScaledPair]
    statistics: Statistics
    scheme: Scheme


@dataclass(frozen=True)
class PairVerdict:
    """before, after: noise over signal of what reads a pair's tensor, by exact integers behind float inputs."""

    pair: Pair
    before: float
    after: float


def keep_pairs(
    model: Path, statistics: Path, pairs: Path, moved: Path, samples: list[Path], out: Path, *, params: KeepPairsParams
) -> None:
    """moved: the statistics of what smoothing all pairs changed. Writes `optimized/`, the float model with the pairs
    that are kept, its `statistics.msgpack`, and `smooth_quant.log`."""
    judge = Judge(model, Statistics.read(statistics), Statistics.read(moved), samples, params)
    verdicts = judge.each(read_pairs(pairs))
    gained = sorted((one for one in verdicts if one.after < one.before), key=lambda one: one.after - one.before)
    before, after, kept = judge.together([one.pair for one in gained])
    if kept:
        variant = judge.variant(kept)
        variant.statistics.write(out / "statistics.msgpack")
        write_model(variant.whole, out / "optimized")
    else:
        shutil.copyfile(statistics, out / "statistics.msgpack")
        shutil.copytree(model, out / "optimized")
    lines = list(_told(verdicts, kept, before, after))
    (out / "smooth_quant.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for line in lines:
        warnings.warn(AxNote(line), stacklevel=1)


class Judge:
    """The samples as tensors, and what the float model makes of them."""

    def __init__(
        self, model: Path, statistics: Statistics, moved: Statistics, samples: list[Path], params: KeepPairsParams
    ) -> None:
        self.file = model_file(model)
        self.statistics, self.moved, self.calibration = statistics, moved, params.calibration
        self.folders, self.inputs = samples, params.inputs

    def variant(self, pairs: Sequence[Pair]) -> Variant:
        whole = ir.load(self.file)
        parts = scale(whole.graph, pairs)
        new = {name: tensor for name, tensor in self.moved.tensors.items() if name in touched(parts)}
        known = Statistics(self.statistics.samples, dict(self.statistics.tensors) | new)
        with warnings.catch_warnings():  # what the scheme that is taken warns of, calibration says
            warnings.simplefilter("ignore", AxWarning)
            return Variant(whole, parts, known, calibrated(whole.graph, known, self.calibration))

    def each(self, pairs: Sequence[Pair]) -> list[PairVerdict]:
        """Every pair by itself."""
        if not pairs:
            return []
        plain, smoothed = self.variant([]), self.variant(pairs)
        own = [place(plain.whole.graph, pair) for pair in pairs]
        first, second = (_blocks(variant, parts) for variant, parts in ((plain, own), (smoothed, smoothed.parts)))
        held = self._tensors(tuple(dict.fromkeys(name for block in first for name in block.reads)))
        models = [ir.serde.serialize_model(variant.whole) for variant in (plain, smoothed)]
        found = []
        for pair, before, after in zip(pairs, first, second, strict=True):
            inputs = {name: held[name] for name in before.reads}
            parts = [cut_out(proto, block) for proto, block in zip(models, (before, after), strict=True)]
            target = float_outputs(parts[0].SerializeToString(), inputs)
            errors = [_error(part, block, inputs, target) for part, block in zip(parts, (before, after), strict=True)]
            found.append(PairVerdict(pair, *errors))
        return found

    def together(self, gained: Sequence[Pair]) -> tuple[float, float, list[Pair]]:
        """The whole model's noise over signal without and with those of the pairs that are kept: all or, while that
        brings it nothing, the better half."""
        if not gained:
            return 0.0, 0.0, []
        inputs = self._tensors(())
        target = reals_of(float_outputs(self.file, inputs))
        start = self.variant([])
        before = error_of(target, coded_outputs(start.whole.graph, start.scheme, inputs))
        kept = list(gained)
        while kept:
            variant = self.variant(kept)
            after = error_of(target, coded_outputs(variant.whole.graph, variant.scheme, inputs))
            if after < before:
                return before, after, kept
            kept = kept[: len(kept) // 2]
        return before, before, []

    def _tensors(self, names: tuple[str, ...]) -> Tensors:
        return float_tensors(self.file, names, self.folders, self.inputs, JUDGED)


def _blocks(variant: Variant, parts: Sequence[ScaledPair]) -> list[TuningBlock]:
    """Each part's fused nodes; what is looked at is what its takers' fused nodes write."""
    sites = placed(variant.whole.graph, variant.scheme)
    found = []
    for part in parts:
        own = [(fused, site) for fused, site in sites if any(node.name in part.nodes for node in fused.nodes)]
        takers = [fused for fused, _ in own if fused.node in part.reach.takers]
        found.append(block_of(own, [value.name or "" for fused in takers for value in fused.outputs]))
    return found


def _error(part: onnx.ModelProto, block: TuningBlock, inputs: Tensors, target: Tensors) -> float:
    scheme = Scheme(tuple(site for _, site in block.sites), {})
    return error_of(target, coded_outputs(ir.from_proto(part).graph, scheme, inputs))


def _told(verdicts: Sequence[PairVerdict], kept: Sequence[Pair], before: float, after: float) -> list[str]:
    """As the vendor's log has it, with what each step came to."""
    lines = ["Analysing Smooth Quantization Error(Phrase 1)"]
    for one in verdicts:
        fate = "smoothed" if one.pair in kept else "left as it was"
        lines.append(f"'{one.pair.tensor}': {decibels(one.before)} -> {decibels(one.after)}, {fate}")
    counted = f"{len(kept)} of {len(verdicts)} tensors smoothed"
    whole = f"; whole model: output error {decibels(before)} -> {decibels(after)}" if before else ""
    return [*lines, "Analysing Smooth Quantization Error(Phrase 2)", counted + whole]
