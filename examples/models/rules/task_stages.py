"""Stage: the task's figure of the float model and of the quantised one, on the same labelled samples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axbuild.errors import AxError, counted
from axbuild.toolchain import ort
from axbuild.toolchain.data.inputs import InputData
from axbuild.toolchain.graph import model_file
from axbuild.toolchain.precision.judge import NoSuchOutputError

from .feeds_stages import feeds
from .figures_stages import FIGURES, OF_ALL_OUTPUTS, Answer


class UnlabelledError(AxError):
    """AX330: a sample of which the labels do not tell what is right."""

    code = "AX330"


@dataclass(frozen=True)
class TaskParams:
    """inputs[i] says what the i-th tree of samples is; the rest as in the rule."""

    inputs: tuple[InputData, ...]
    figure: str
    output: str
    max_loss: float


def measure(model: Path, quantised: Path, labels: Path, samples: list[Path], out: Path, *, params: TaskParams) -> None:
    """model: the front end's folder; quantised: quant_axmodel.onnx. Writes verdict.json."""
    known, figure = json.loads(labels.read_text(encoding="utf-8")), FIGURES[params.figure]
    sessions = ort.open_session(model_file(model), level="basic"), ort.open_session(quantised, level="off")
    found = [answers_of(session, samples, known, params) for session in sessions]
    exact, coded = (figure(answers, known) for answers in found)
    passed, count = exact - coded <= params.max_loss, len(found[0])
    verdict = {
        "passed": passed,
        "sentence": f"{params.figure} {exact:.4f} in float and {coded:.4f} quantised on {counted(count, 'sample')}"
        + ("" if passed else f": the loss is above {params.max_loss:g}"),
        "figure": params.figure,
        "samples": count,
        "float": exact,
        "quantised": coded,
    }
    (out / "verdict.json").write_text(json.dumps(verdict, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def answers_of(session: Any, samples: list[Path], labels: dict[str, Any], params: TaskParams) -> list[Answer]:
    """What a model says of each labelled sample."""
    outputs = [port.name for port in session.get_outputs()]
    wanted = [params.output] if params.output else outputs
    if not set(wanted) <= set(outputs) or (len(wanted) > 1 and params.figure not in OF_ALL_OUTPUTS):
        raise NoSuchOutputError(
            f"{params.figure} is of one output, and output names '{params.output}'; the model's outputs are "
            f"{', '.join(outputs)}"
        )
    found = []
    for name, feed in feeds([port.name for port in session.get_inputs()], samples, params.inputs):
        if name not in labels:
            raise UnlabelledError(f"sample '{name}' has no label")
        found.append(Answer(name, feed, session.run(wanted, feed)))
    return found
