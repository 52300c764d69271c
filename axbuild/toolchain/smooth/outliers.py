"""The table of outliers: how far the channels of a tensor lie below its loudest one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from axbuild.toolchain.quant.statistics import Statistics, TensorStatistics
from axbuild.toolchain.smooth.pairs import loudness

TITLE = "Ratio of outliers in tensor【 level=Log(Max_Pertensor/Max_Perchannel) 】"
LEVELS = (3, 4, 5, 6)
HEADS = ("Op outputs", "Sparse channel ratio", *(f"level>={level} ratio" for level in LEVELS))
LONGEST = 40
"""characters of a name in the table"""


@dataclass(frozen=True)
class Outliers:
    """sparse: the share of channels that are 0 on all samples; ratios: of those at each of LEVELS or above. A level is
    the logarithm to base 2: how many bits of the tensor's codes the channel never uses."""

    tensor: str
    sparse: float
    ratios: tuple[float, ...]

    @staticmethod
    def of(name: str, tensor: TensorStatistics) -> Outliers:
        loud = loudness(tensor)
        heard = loud[loud > 0.0]
        levels = np.log2(loud.max() / heard) if len(heard) else heard
        ratios = tuple(float(np.sum(levels >= level)) / len(loud) for level in LEVELS)
        return Outliers(name, 1.0 - len(heard) / len(loud), ratios)


def outliers(statistics: Statistics) -> list[Outliers]:
    """Of every tensor with channels, the worst first."""
    rows = [Outliers.of(name, tensor) for name, tensor in statistics.tensors.items() if tensor.channels > 1]
    return sorted(rows, key=lambda row: row.ratios, reverse=True)


def table(rows: Iterable[Outliers]) -> list[str]:
    """The vendor's table: title, heads, a line a tensor."""
    cells = [HEADS, *((_short(row.tensor), *(f"{share:.4f}" for share in (row.sparse, *row.ratios))) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADS))]
    return [
        TITLE,
        *("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells),
    ]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."
