"""Stage: a model that hands a state on, float and quantised, each on its own states: how far apart they come."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axbuild.errors import AxNote, counted
from axbuild.progress import tell
from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData, bind, feed_of, paired
from axbuild.toolchain.graph import Array, model_file
from axbuild.toolchain.likeness import snr_db, sums_of
from axbuild.toolchain.quant.unroll import zeros
from axbuild.toolchain.refused import refused_sample

Energies = list[list[float] | None]
"""[signal, noise] of each step; None where a value is not finite"""
LAST = 10
"""steps at the end that are looked at together"""


@dataclass(frozen=True)
class DriftParams:
    """As in UnrollParams."""

    inputs: tuple[InputData, ...]
    state: dict[str, str]


def drift(model: Path, quantised: Path, samples: list[Path], out: Path, *, params: DriftParams) -> None:
    """Write drift.json: {"steps", "outputs": {name: [[signal, noise] of each step]}}, and tell of its end.

    A step whose values are not finite has no energies but null.
    """
    runs = [StatefulRun(model_file(model), params.state, "basic"), StatefulRun(quantised, params.state, "off")]
    sources = bind(params.inputs, [name for name in runs[0].inputs if name not in params.state.values()])
    rows = paired(samples, params.inputs)
    found: dict[str, Energies] = {name: [] for name in runs[0].outputs}
    for place, (name, files) in enumerate(rows):
        tell("step", place + 1, len(rows))
        feeds = feed_of(files, sources)
        with refused_sample(name):
            exact, coded = (run.step(feeds) for run in runs)
        for output, energies in found.items():
            sums = sums_of(exact[output], coded[output])
            energies.append(None if sums is None else [sums.aa, sums.dd])
    text = json.dumps({"steps": len(rows), "outputs": found}, indent=1, sort_keys=True, allow_nan=False)
    (out / "drift.json").write_text(text + "\n", encoding="utf-8")
    warnings.warn(AxNote(told(found, len(rows))), stacklevel=1)


def told(found: Mapping[str, Energies], steps: int) -> str:
    """The signal-to-noise ratio of each output over the last steps, in a sentence."""
    parts = ", ".join(f"output '{name}' {_ratio(energies[-LAST:])}" for name, energies in found.items())
    last = counted(min(steps, LAST), "step")
    return f"after {counted(steps, 'step')}, each model on its own states, the last {last} have: {parts}"


def _ratio(energies: Energies) -> str:
    known = [pair for pair in energies if pair is not None]
    if len(known) < len(energies):
        return "values that are not finite"
    return f"{snr_db(sum(signal for signal, _ in known), sum(noise for _, noise in known)):.1f} dB"


class StatefulRun:
    """A model at work, with the state that it is in."""

    def __init__(self, model: Path, state: Mapping[str, str], level: str) -> None:
        self.session: Any = ort.open_session(model, level=level)
        self.inputs = [port.name for port in self.session.get_inputs()]
        self.outputs = [port.name for port in self.session.get_outputs()]
        self.state = state
        self.states = zeros(self.session, state)

    def step(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs, of which the states go into the next step."""
        made = dict(zip(self.outputs, self.session.run(self.outputs, {**feeds, **self.states}), strict=True))
        self.states = {name: made[output] for output, name in self.state.items()}
        return made
