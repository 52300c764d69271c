"""Stage: are the rows of a precision analysis within their limits? Writes a verdict and never fails itself."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axbuild.errors import AxError, AxNote, counted
from axbuild.toolchain.analysis.analysis import RowFigures, read

OUTPUTS, LAYERS = "outputs", "layers"


class NoRowsError(AxError):
    """AX491: limits for rows that the analysis does not have."""

    code = "AX491"


@dataclass(frozen=True)
class JudgeRowsParams:
    """judge: "outputs" (what the model gives) or "layers" (every row). The limits; None is not judged."""

    judge: str
    min_cosine: float | None = None
    max_mse: float | None = None
    min_snr_db: float | None = None
    max_step: float | None = None


def judge_rows(analysis: Path, out: Path, *, params: JudgeRowsParams) -> None:
    """analysis: precision_analysis.json. Writes verdict.json. Raises NoRowsError."""
    verdict = verdict_of_rows(*read(analysis), params)
    text = json.dumps(verdict, indent=1, sort_keys=True, allow_nan=False)
    (out / "verdict.json").write_text(text + "\n", encoding="utf-8")
    warnings.warn(AxNote(verdict["sentence"]), stacklevel=1)


def verdict_of_rows(form: str, samples: int, rows: Sequence[RowFigures], params: JudgeRowsParams) -> dict[str, Any]:
    """The content of verdict.json. form: method and mode."""
    judged = [row for row in rows if row.output or params.judge == LAYERS]
    if not judged:
        hint = 'judge = "layers" looks at every row' if rows else ""
        raise NoRowsError("no output of the model is of real numbers that can be compared", hint=hint)
    failing = [(row, found) for row in judged if (found := list(_faults(row, params)))]
    about = f"{form}, {counted(len(judged), 'row')} on {counted(samples, 'sample')}"
    return {
        "passed": not failing,
        "sentence": f"{about}: {_failed(failing) if failing else _passed(judged)}",
        "failing": len(failing),
        "rows": [{"operator": row.operator, "tensor": row.tensor, "faults": found} for row, found in failing],
    }


def _failed(failing: Sequence[tuple[RowFigures, Sequence[str]]]) -> str:
    row, faults = failing[0]
    return f"'{row.operator}' (tensor '{row.tensor}') has {faults[0]}; {counted(len(failing), 'row')} failed"


def _passed(judged: Sequence[RowFigures]) -> str:
    cosine, operator = min((row.cosine, row.operator) for row in judged if row.cosine is not None)
    return f"the lowest cosine is {cosine:.6g}, of '{operator}'"


def _faults(row: RowFigures, params: JudgeRowsParams) -> Iterator[str]:
    """Floats have no steps."""
    if row.cosine is None or row.mse is None or row.snr_db is None:
        yield "values that are not finite"
        return
    if params.min_cosine is not None and row.cosine < params.min_cosine:
        yield f"the cosine {row.cosine:.6g}, below {params.min_cosine:g}"
    if params.max_mse is not None and row.mse > params.max_mse:
        yield f"the MSE {row.mse:.6g}, above {params.max_mse:g}"
    if params.min_snr_db is not None and row.snr_db < params.min_snr_db:
        yield f"the SNR {row.snr_db:.1f} dB, below {params.min_snr_db:g} dB"
    if params.max_step is not None and row.max_step is not None and row.max_step > params.max_step:
        yield f"an error of {row.max_step:.4g} steps, above {params.max_step:g}"
