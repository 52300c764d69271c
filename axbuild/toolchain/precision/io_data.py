"""Stage: what the float model and the quantised one take in and give, of the first sample."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.file_names import file_names
from axbuild.toolchain.graph import Array
from axbuild.toolchain.precision.feeds import feeds
from axbuild.toolchain.precision.side import Side
from axbuild.toolchain.refused import refused_sample


@dataclass(frozen=True)
class IoDataParams:
    """inputs[i] says what the i-th tree of samples is."""

    inputs: tuple[InputData, ...]


def io_data(model: Path, quantised: Path, samples: list[Path], out: Path, *, params: IoDataParams) -> None:
    """model: the front end's folder; quantised: quant_axmodel.onnx. Writes io/float/<tensor>.npy and
    io/quant/<tensor>.npy, inputs and outputs as the model of that side has them at its border, and io/io.json:
    {"sample", "float" and "quant": {"inputs" and "outputs": {tensor: {"file", "dtype", "shape"}}}}."""
    sides = {"float": Side.of_float(model), "quant": Side("quantised", quantised.read_bytes(), "off")}
    sample, feed = next(feeds(sides["float"].inputs, samples, params.inputs))
    record: dict[str, Any] = {"sample": sample}
    for which, side in sides.items():
        with refused_sample(sample):
            given = side.run(side.outputs, feed)
        record[which] = _kept(out / "io", which, {"inputs": feed, "outputs": given})
    text = json.dumps(record, indent=1, sort_keys=True)
    (out / "io/io.json").write_text(text + "\n", encoding="utf-8")


def _kept(folder: Path, which: str, tensors: dict[str, dict[str, Array]]) -> dict[str, Any]:
    (folder / which).mkdir(parents=True)
    called = file_names(name for arrays in tensors.values() for name in arrays)
    record: dict[str, Any] = {}
    for end, arrays in tensors.items():
        record[end] = {}
        for name, array in arrays.items():
            file = f"{which}/{called[name]}.npy"
            np.save(folder / file, array, allow_pickle=False)
            record[end][name] = {"file": file, "dtype": str(array.dtype), "shape": list(array.shape)}
    return record
