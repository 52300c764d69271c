"""Stage: what is odd about a set whose shards were decoded apart."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from axbuild.toolchain.data.hygiene import Survey
from axbuild.toolchain.data.shards import write_shards


@dataclass(frozen=True)
class SurveyParams:
    """shards: the folder of each survey; size, mean, std, input: as in DecodeParams."""

    shards: tuple[str, ...]
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    input: str = ""


def survey(surveys: list[Path], out: Path, *, params: SurveyParams) -> None:
    """Write the `shards.json` of all together, and warn as decoding them at once would."""
    parts = [Survey.read(path) for path in surveys]
    shards = {folder: list(part.digests) for folder, part in zip(params.shards, parts, strict=True)}
    write_shards(shards, out / "shards.json")
    for warning in Survey.together(parts).told(params.size, params.mean, params.std, params.input):
        warnings.warn(warning, stacklevel=1)
