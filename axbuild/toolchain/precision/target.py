"""What `auto_precision` is to reach, as noise over signal that an output may have."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.toolchain.likeness import snr_db
from axbuild.toolchain.precision.trial import Tried


@dataclass(frozen=True)
class PrecisionTarget:
    """One of them: min_snr_db, of every output over all samples; min_cosine, of every output on each sample;
    min_metric, of the task's own figure, which is reached by way of decibels."""

    min_snr_db: float | None = None
    min_cosine: float | None = None
    min_metric: float | None = None

    def allowed(self, outputs: int) -> list[float]:
        """A cosine of 1 - d is what noise of 2 d beside a signal of 1 gives."""
        if self.min_snr_db is not None:
            return [10.0 ** (-self.min_snr_db / 10.0)] * outputs
        return [2.0 * (1.0 - (self.min_cosine or 0.0))] * outputs

    def noise(self, tried: Tried) -> list[float]:
        """Of each output, comparable with `allowed`."""
        if self.min_snr_db is not None:
            return tried.shares()
        return [2.0 * (1.0 - cosine) for cosine in tried.cosines()]

    def safe_noise(self, tried: Tried) -> list[float]:
        """The same with room for samples that are not these."""
        if self.min_snr_db is not None:
            return tried.safe_shares()
        return [2.0 * (1.0 - cosine) for cosine in tried.safe_cosines()]

    def figure(self, tried: Tried) -> str:
        """The lowest of the outputs."""
        if self.min_snr_db is not None:
            return f"{snr_db(1.0, max(tried.shares(), default=0.0)):.1f} dB"
        return f"cosine {min(tried.cosines(), default=1.0):.6g}"

    def __str__(self) -> str:
        return f"{self.min_snr_db:g} dB" if self.min_snr_db is not None else f"cosine {self.min_cosine:g}"
