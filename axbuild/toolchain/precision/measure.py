"""Stage: the outputs of the float model and of the quantised one, side by side under onnxruntime, on the same samples.

Whoever reads what lies between them, as a report does, reads `measure_edges` too.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from axbuild.errors import AxWarning, counted
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import Array
from axbuild.toolchain.likeness import sums_of
from axbuild.toolchain.precision.channels import ChannelSums
from axbuild.toolchain.precision.feeds import feeds
from axbuild.toolchain.precision.measured import Measured, SideBySide, write
from axbuild.toolchain.precision.side import Side, UnmeasuredError
from axbuild.toolchain.refused import refused_sample


@dataclass(frozen=True)
class MeasureParams:
    """inputs[i] says what the i-th tree of samples is."""

    inputs: tuple[InputData, ...]


def measure(
    model: Path, quantised: Path, samples: list[Path], calibration: list[Path], out: Path, *, params: MeasureParams
) -> None:
    """model: the front end's folder; quantised: quant_axmodel.onnx; calibration: the samples that it was calibrated
    on. Writes precision.json: every output on all samples."""
    _tell_overlap(samples, calibration)
    exact_side, coded_side = Side.of_float(model), Side("quantised", quantised.read_bytes(), "off")
    names = exact_side.outputs
    if coded_side.outputs != names:
        raise UnmeasuredError(
            f"the float model has the outputs {', '.join(names)}, and the quantised one {', '.join(coded_side.outputs)}"
        )
    rows: list[Measured] = []
    channels = {name: ChannelSums(shape) for name, shape in exact_side.shapes().items()}
    for sample, feed in feeds(exact_side.inputs, samples, params.inputs):
        with refused_sample(sample):
            exact, coded = exact_side.run(names, feed), coded_side.run(names, feed)
        for name in names:
            rows.append(_measured(sample, name, exact[name], coded[name]))
            channels[name].add(exact[name], coded[name])
    write(SideBySide(rows, {name: sums.cosines() for name, sums in channels.items()}), out)


def _measured(sample: str, name: str, exact: Array, coded: Array) -> Measured:
    if exact.shape != coded.shape:
        raise UnmeasuredError(f"output '{name}' is {list(exact.shape)} in float and {list(coded.shape)} quantised")
    agrees = exact.ndim == 0 or not exact.size or bool((exact.argmax(axis=-1) == coded.argmax(axis=-1)).all())
    return Measured(sample, name, sums_of(np.asarray(exact), np.asarray(coded)), agrees)


def _tell_overlap(samples: list[Path], calibration: list[Path]) -> None:
    """Figures on what calibrated say little of what comes later."""
    known = set(_digests(calibration))
    measured = _digests(samples)
    if common := sum(digest in known for digest in measured):
        sentence = (
            f"{common} of {counted(len(measured), 'sample')} calibrated the model as well: the figures may flatter it"
        )
        warnings.warn(AxWarning("AX472", sentence), stacklevel=1)


def _digests(folders: list[Path]) -> list[tuple[bytes, ...]]:
    """One a sample, of what all inputs take together: masks and states are alike in many samples."""
    held = [{file.name: sha256(file.read_bytes()).digest() for file in folder.rglob("*.npy")} for folder in folders]
    names = sorted(set(held[0]).intersection(*held)) if held else []
    return [tuple(sorted(digests[name] for digests in held)) for name in names]
