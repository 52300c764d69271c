"""Stage: is a quantised model close enough to its float model? Writes a verdict and never fails itself."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axbuild.errors import AxError, AxNote, counted
from axbuild.toolchain.likeness import snr_db
from axbuild.toolchain.precision.measured import Measured, SideBySide, read


class NoSuchOutputError(AxError):
    """AX471: `logits` names an output that the model does not have, or must name one and does not."""

    code = "AX471"


@dataclass(frozen=True)
class JudgeParams:
    """Least values; None is not judged. min_channel_cosine: of a channel on all samples together. logits: the output
    whose largest value is the answer, "" for the only one."""

    min_cosine: float | None = None
    min_snr_db: float | None = None
    min_agreement: float | None = None
    min_channel_cosine: float | None = None
    logits: str = ""


@dataclass(frozen=True)
class Measures:
    """One output on all samples. cosine: the lowest of a sample's. snr_db: of all samples together. agreement: the
    share of samples whose answer is the float model's. channels: the cosine of each one on all samples together."""

    name: str
    cosine: float
    sample: str
    snr_db: float
    agreement: float
    channels: tuple[float, ...]

    @property
    def channel_cosine(self) -> float:
        return min(self.channels)

    @property
    def lowest_channel(self) -> int:
        return self.channels.index(self.channel_cosine)


def judge(measured: Path, out: Path, *, params: JudgeParams) -> None:
    """measured: precision.json. Writes verdict.json; numbers that JSON cannot hold are text ("inf", "-inf")."""
    verdict = verdict_of(read(measured), params)
    text = json.dumps(verdict, indent=1, sort_keys=True, allow_nan=False)
    (out / "verdict.json").write_text(text + "\n", encoding="utf-8")
    warnings.warn(AxNote(f"against the float model: {verdict['sentence']}"), stacklevel=1)


def verdict_of(measured: SideBySide, params: JudgeParams) -> dict[str, Any]:
    """The content of verdict.json."""
    outputs = [_output(name, measured) for name in sorted(measured.channels)]
    samples = len({row.sample for row in measured.rows})
    logits = _logits(outputs, params)
    faults = [fault for output in outputs for fault in _faults(output, params)]
    if logits is not None and params.min_agreement is not None and logits.agreement < params.min_agreement:
        least = f"{params.min_agreement:.1%}"
        faults.append(
            f"output '{logits.name}': {logits.agreement:.1%} of the answers are the float model's, below {least}"
        )
    return {
        "passed": not faults,
        "sentence": faults[0] if faults else _passed(outputs, logits, samples),
        "failing": len(faults),
        "samples": samples,
        "outputs": {
            output.name: {
                "cosine": _number(output.cosine),
                "lowest_sample": output.sample,
                "snr_db": _number(output.snr_db),
                "agreement": output.agreement,
                "channel_cosine": output.channel_cosine,
                "lowest_channel": output.lowest_channel,
            }
            for output in outputs
        },
    }


def _output(name: str, measured: SideBySide) -> Measures:
    own: list[Measured] = [row for row in measured.rows if row.output == name]
    lowest = min(own, key=lambda row: row.sums.cosine if row.sums else -math.inf)
    sums = [row.sums for row in own if row.sums]
    whole = len(sums) == len(own)
    noise = snr_db(math.fsum(one.aa for one in sums), math.fsum(one.dd for one in sums)) if whole else -math.inf
    cosine = round(lowest.sums.cosine, 9) if lowest.sums else -math.inf
    # Six digits: the logarithm's last bit is the mathematics library's own.
    agreement = sum(row.agrees for row in own) / len(own)
    return Measures(name, cosine, lowest.sample, round(noise, 6), agreement, tuple(measured.channels[name]))


def _logits(outputs: list[Measures], params: JudgeParams) -> Measures | None:
    names = [output.name for output in outputs]
    if params.logits and params.logits not in names:
        raise NoSuchOutputError(f"logits names '{params.logits}'; the model's outputs are {', '.join(names)}")
    if params.logits:
        return outputs[names.index(params.logits)]
    if params.min_agreement is not None and len(outputs) > 1:
        hint = f"the outputs are {', '.join(names)}"
        raise NoSuchOutputError("min_agreement needs the output whose largest value is the answer", hint=hint)
    return outputs[0] if len(outputs) == 1 else None


def _faults(output: Measures, params: JudgeParams) -> list[str]:
    found = []
    if params.min_cosine is not None and not output.cosine >= params.min_cosine:
        value = f"the cosine is {output.cosine:.6g}" if math.isfinite(output.cosine) else "a value is not finite"
        found.append(f"sample '{output.sample}', output '{output.name}': {value}, below {params.min_cosine:g}")
    if params.min_snr_db is not None and not output.snr_db >= params.min_snr_db:
        found.append(f"output '{output.name}': the SNR is {output.snr_db:.1f} dB, below {params.min_snr_db:g} dB")
    if params.min_channel_cosine is not None and output.channel_cosine < params.min_channel_cosine:
        below = sum(cosine < params.min_channel_cosine for cosine in output.channels)
        found.append(
            f"output '{output.name}', channel {output.lowest_channel}: the cosine is {output.channel_cosine:.6g}, "
            f"below {params.min_channel_cosine:g} ({below} of {len(output.channels)} channels are)"
        )
    return found


def _passed(outputs: list[Measures], logits: Measures | None, samples: int) -> str:
    lowest = min(outputs, key=lambda output: output.cosine)
    worst = min(outputs, key=lambda output: output.channel_cosine)
    noisiest = min(outputs, key=lambda output: output.snr_db)
    alone = f"{worst.channel_cosine:.6g} in channel {worst.lowest_channel} of '{worst.name}' alone"
    on = f"on {counted(samples, 'sample')}"
    agree = f", {logits.agreement:.1%} of the answers the same" if logits is not None else ""
    return f"lowest cosine {lowest.cosine:.6g} ('{lowest.name}'), {alone}, SNR {noisiest.snr_db:.1f} dB{agree} {on}"


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
