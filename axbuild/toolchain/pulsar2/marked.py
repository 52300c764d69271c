"""Values with the place where they are written, which every format is read into first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from axbuild.errors import Place
from axbuild.toolchain.near import nearest

_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Marked:
    """A value as some format wrote it, and where.

    value: a text, number, true or false, None, a list of Marked, or a table of name -> Marked; keys: where the names of
    a table stand.
    """

    value: Any
    place: Place | None = None
    keys: Mapping[str, Place] = field(default_factory=dict)

    def __str__(self) -> str:
        return shortened(shown(self.plain()))

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {name: item.plain() for name, item in self.value.items()}
        return [item.plain() for item in self.value] if isinstance(self.value, list) else self.value


def shortened(text: str) -> str:
    """What an error shows of a name or a value that may be endless."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def shown(value: Any) -> str:
    """A value as JSON writes it, with 1e-06 as 1e-6 and 1.0 as 1."""
    if isinstance(value, float):
        return re.sub(r"e(-?)\+?0*", r"e\1", repr(value).removesuffix(".0"))
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return json.dumps(value, ensure_ascii=False, default=str)


def meant(word: str, known: Iterable[str]) -> str:
    """The hint for a name that there is not: the one that differs in case and underscores alone, else the nearest with
    the same digits, since cuda:8 is no slip for cuda:7."""
    names = list(known)
    same = same_name(word, names)
    digits = re.sub(r"\D", "", word)
    return f"did you mean '{same}'?" if same else nearest(word, [n for n in names if re.sub(r"\D", "", n) == digits])


def same_name(word: str, known: Iterable[str]) -> str:
    """The name that is the same but for case and underscores, as inputShapes is input_shapes; "" where none is."""
    return next((name for name in known if _squeezed(name) == _squeezed(word)), "")


def _squeezed(word: str) -> str:
    return re.sub(r"[\W_]", "", word).lower()
