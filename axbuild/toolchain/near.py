"""Names near one that there is not, for the hint of an error.

Another number is another thing and no slip: who writes conv_1 does not mean conv_2. One that was left out may be meant,
as in `input` for `input.1`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

MOST = 3


def nearest(name: str, known: Iterable[str]) -> str:
    """The one that is nearest; "" where none is near."""
    near = near_names(name, known)
    return f"did you mean '{near[0]}'?" if near else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    near = near_names(name, known)
    return f"did you mean {' or '.join(near)}?" if near else ""


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Up to three, the nearest first."""
    numbers = _numbers(name)
    return difflib.get_close_matches(name, [one for one in known if _may_be(numbers, _numbers(one))], MOST)


def _numbers(name: str) -> list[str]:
    return re.findall(r"\d+", name)


def _may_be(one: list[str], other: list[str]) -> bool:
    """Whether the numbers of one are those of the other, in order, with some left out."""
    fewer, more = sorted((one, other), key=len)
    rest = iter(more)
    return all(number in rest for number in fewer)
