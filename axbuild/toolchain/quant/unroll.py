"""Stage: a model that hands a state on, step after step: what it enters each step with.

The samples of its other inputs are the steps, in the order of their names; the state begins as zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from axbuild.errors import AxError
from axbuild.progress import tell
from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData, bind, feed_of, paired
from axbuild.toolchain.graph import Array, model_file
from axbuild.toolchain.refused import refused_sample


class StatePairError(AxError):
    """A state whose output or input the model does not have, or that are not alike."""

    code = "AX368"


@dataclass(frozen=True)
class UnrollParams:
    """inputs: of those that are no state, as in ObserveParams; state: output -> the input that it is next time."""

    inputs: tuple[InputData, ...]
    state: dict[str, str]


def unroll(model: Path, samples: list[Path], out: Path, *, params: UnrollParams) -> None:
    """Write states/<i>/<sample>.npy, in the samples' folders: what the input of the i-th state is before that sample.

    Raises StatePairError.
    """
    session = ort.open_session(model_file(model))
    states = zeros(session, params.state)
    sources = bind(params.inputs, [port.name for port in session.get_inputs() if port.name not in states])
    rows = paired(samples, params.inputs)
    for place, (name, files) in enumerate(rows):
        tell("step", place + 1, len(rows))
        folder = files[0].parent.relative_to(samples[0])
        for number, state in enumerate(states.values()):
            target = out / "states" / str(number) / folder
            target.mkdir(parents=True, exist_ok=True)
            np.save(target / f"{name}.npy", state)
        feeds = feed_of(files, sources)
        with refused_sample(name):
            made: list[Array] = session.run(list(params.state), feeds | states)
        states = dict(zip(params.state.values(), made, strict=True))


def zeros(session: Any, state: Mapping[str, str]) -> dict[str, Array]:
    """Input -> what it begins with; raises StatePairError where a pair of the model's ends does not fit."""
    inputs = {port.name: port for port in session.get_inputs()}
    outputs = {port.name: port for port in session.get_outputs()}
    found: dict[str, Array] = {}
    for output, name in state.items():
        _refuse_unknown(output, "output", outputs)
        _refuse_unknown(name, "input", inputs)
        made, taken = outputs[output], inputs[name]
        if (made.shape, made.type) != (taken.shape, taken.type):
            raise StatePairError(
                f"output '{output}' is {_form(made)}, and the input '{name}' that it is next time is {_form(taken)}",
                hint="a state goes in as it came out",
            )
        found[name] = np.zeros(taken.shape, _TYPES[taken.type])
    return found


_TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_}


def _refuse_unknown(name: str, what: str, known: Mapping[str, Any]) -> None:
    if name not in known:
        raise StatePairError(f"state names the {what} '{name}'; the model's {what}s are {', '.join(known)}")


def _form(port: Any) -> str:
    return f"{port.type.removeprefix('tensor(').removesuffix(')')} {list(port.shape)}"
