"""Stage: as `observe`, of a segment that others follow: what they read is kept, in float, a file a sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.quant.observe import FloatPass, observer_of, one_ahead, sample_feeds


@dataclass(frozen=True)
class ObserveOnParams:
    """inputs: as in ObserveParams; writes: tensors that are kept."""

    inputs: tuple[InputData, ...]
    writes: tuple[str, ...]


def observe_on(model: Path, watch: Path, samples: list[Path], out: Path, *, params: ObserveOnParams) -> None:
    """Write `statistics.msgpack`, and boundary/<i>/<sample>.npy of params.writes[i]."""
    observer = observer_of(watch)
    float_pass = FloatPass(model, tuple(dict.fromkeys([*observer.tensors, *params.writes])))
    folders = [out / "boundary" / str(place) for place in range(len(params.writes))]
    for folder in folders:
        folder.mkdir(parents=True)
    for name, values in one_ahead(float_pass, sample_feeds(float_pass.inputs, samples, params.inputs)):
        observer.see(name, values)
        for folder, tensor in zip(folders, params.writes, strict=True):
            np.save(folder / f"{name}.npy", values[tensor])
    observer.statistics().write(out / "statistics.msgpack")
