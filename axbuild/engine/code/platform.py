"""The float platform: what decides the last bits of a result computed in floating point.

The libraries choose their kernels by instruction set, so the same model gives other last bits on another
processor. Its levels are those of the x86-64 ABI (v1 to v4): between two of them the kernels' vector width or the
use of fused multiply-adds differs, within one they do not.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

# The flags that tell a level from the one below, as Linux names them.
_X86_LEVELS = (
    ("v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
    ("v3", {"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"}),
    ("v2", {"cx16", "popcnt", "sse4_1", "sse4_2", "ssse3"}),
)
_CPUINFO = Path("/proc/cpuinfo")


@lru_cache(maxsize=1)
def _architecture() -> str:
    name = os.uname().machine or "unknown"
    try:
        text = _CPUINFO.read_text()
    except OSError:
        return name  # not Linux: the architecture is all we know without running code for it
    return f"{name}-{level(text)}" if name == "x86_64" else name


def level(cpuinfo: str) -> str:
    """The x86-64 level that the first processor of a /proc/cpuinfo reaches."""
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    flags = next((set(value.split()) for key, _, value in lines if key.strip() == "flags"), set())
    met = True
    reached = "v1"
    for name, needed in reversed(_X86_LEVELS):
        met = met and needed <= flags
        reached = name if met else reached
    return reached


def float_platform(device: str = "cpu") -> str:
    """Architecture, instruction-set level and kind of device ("cuda", never "cuda:3"), as it stands in keys."""
    return f"{_architecture()}/{device.partition(':')[0]}"
