"""Stage: the float model and the quantised one, side by side under onnxruntime, on the same samples."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from axbuild.errors import AxError, AxWarning, counted
from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData, bind, load_sample, paired, tensor_input
from axbuild.toolchain.door import in_words
from axbuild.toolchain.graph import Array, model_file
from axbuild.toolchain.likeness import sums_of
from axbuild.toolchain.precision.channels import ChannelSums
from axbuild.toolchain.precision.measured import Measured, SideBySide, write


class UnmeasuredError(AxError):
    """AX470: the float or the quantised model does not run, or their outputs are not the same ones."""

    code = "AX470"


@dataclass(frozen=True)
class MeasureParams:
    """inputs[i] says what the i-th tree of samples is."""

    inputs: tuple[InputData, ...]


def measure(
    model: Path, quantised: Path, samples: list[Path], calibration: list[Path], out: Path, *, params: MeasureParams
) -> None:
    """model: the front end's folder; quantised: quant_axmodel.onnx; calibration: the samples that it was calibrated
    on. Writes precision.json."""
    _tell_overlap(samples, calibration)
    exact, coded = _session(model_file(model), "float", "basic"), _session(quantised, "quantised", "off")
    names = [port.name for port in exact.get_outputs()]
    if (others := [port.name for port in coded.get_outputs()]) != names:
        raise UnmeasuredError(
            f"the float model has the outputs {', '.join(names)}, and the quantised one {', '.join(others)}"
        )
    rows: list[Measured] = []
    channels = {port.name: ChannelSums(port.shape) for port in exact.get_outputs()}
    for sample, feed in _feeds([port.name for port in exact.get_inputs()], samples, params.inputs):
        ours, theirs = _run(exact, names, feed, "float"), _run(coded, names, feed, "quantised")
        for name, a, b in zip(names, ours, theirs, strict=True):
            rows.append(_measured(sample, name, a, b))
            channels[name].add(a, b)
    write(SideBySide(rows, {name: sums.cosines() for name, sums in channels.items()}), out)


def _session(model: Path, which: str, level: str) -> Any:
    try:
        return ort.open_session(model, level=level)
    except ort.FAILURES as error:
        raise UnmeasuredError(f"onnxruntime does not open the {which} model: {in_words(str(error))}") from None


def _run(session: Any, names: list[str], feed: dict[str, Array], which: str) -> list[Array]:
    try:
        found: list[Array] = session.run(names, feed)
    except ort.FAILURES as error:
        raise UnmeasuredError(f"onnxruntime does not run the {which} model: {in_words(str(error))}") from None
    return found


def _feeds(
    names: list[str], folders: list[Path], inputs: tuple[InputData, ...]
) -> Iterator[tuple[str, dict[str, Array]]]:
    chosen = bind(inputs, names)
    for sample, files in paired(folders, inputs):
        yield sample, {data.name: tensor_input(load_sample(files[index]), data) for data, index in chosen}


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
