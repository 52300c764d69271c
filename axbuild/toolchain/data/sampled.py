"""The model input that a set of samples is for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from axbuild.toolchain.data.chosen import CalibrationSetError


@dataclass(frozen=True)
class SampledInput:
    """alone: whether the model has no other input that samples are for."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    alone: bool


def inputs_of(interface: Path, apart: tuple[str, ...]) -> list[SampledInput]:
    """The inputs that samples are for: all but `apart`. Raises CalibrationSetError where there is none."""
    described = json.loads(interface.read_text(encoding="utf-8"))["inputs"]
    if unknown := set(apart) - {item["name"] for item in described}:
        known = ", ".join(item["name"] for item in described)
        raise CalibrationSetError(f"state names the input '{min(unknown)}'; the model's inputs are {known}")
    described = [item for item in described if item["name"] not in apart]
    return [SampledInput(item["name"], tuple(item["shape"]), item["dtype"], len(described) == 1) for item in described]


def targets_of(interface: Path, name: str, apart: tuple[str, ...]) -> list[SampledInput]:
    """The input of that name, or all of them for ""; apart: inputs that "" is not for.

    Raises CalibrationSetError where there is none.
    """
    inputs = inputs_of(interface, apart)
    if name:
        found = [item for item in inputs if item.name == name]
        if not found:
            names = ", ".join(item.name for item in inputs)
            raise CalibrationSetError(f"calibration names the input '{name}'; the model's inputs are {names}")
        return found
    if not inputs:
        raise CalibrationSetError("the model has no input that samples could be for: all of them are states")
    return inputs


def target_of(interface: Path, name: str, apart: tuple[str, ...]) -> SampledInput:
    """The input of that name, or "" for the only one or all alike, as `targets_of` has them.

    Raises CalibrationSetError where inputs that one set serves are not alike.
    """
    inputs = targets_of(interface, name, apart)
    if any((item.shape, item.dtype) != (inputs[0].shape, inputs[0].dtype) for item in inputs):
        raise CalibrationSetError(
            f"one calibration set cannot serve the inputs {', '.join(item.name for item in inputs)}, "
            "which differ in shape or type",
            hint='give each its own: calibration = { "input name" = ":set" }; one of format = "NumpyObject" serves all',
        )
    return inputs[0]
