"""Options of the compiler, as users ask for them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CompileOptions:
    """Every option that the rules declare: one record, so that a new one is declared, added here and read, no more.

    ddr_bw_limit: GB/s, 0 for none.
    """

    ddr_bw_limit: float = 0.0
