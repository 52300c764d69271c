"""Stage: a recurrent model, step after step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axbuild.toolchain import ort
from axbuild.toolchain.graph import model_file


@dataclass(frozen=True)
class UnrollParams:
    input: str
    state: str
    next_state: str


def unroll(model: Path, steps: Path, out: Path, *, params: UnrollParams) -> None:
    """model: the front end's folder. Writes states/STEP.npy, the state before that step."""
    session = ort.open_session(model_file(model), level="basic")
    shapes = {port.name: port.shape for port in session.get_inputs()}
    state = np.zeros(shapes[params.state], dtype=np.float32)
    folder = out / "states"
    folder.mkdir()
    for file in sorted(steps.rglob("*.npy")):
        np.save(folder / file.name, state, allow_pickle=False)
        feed = {params.input: np.load(file, allow_pickle=False), params.state: state}
        (state,) = session.run([params.next_state], feed)
