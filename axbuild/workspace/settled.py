"""What a rule sees of its target: every attribute settled, and the means to complain about one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from axbuild.errors import AxError, Place


class NoEffect(AxError):
    """A setting that would change nothing, or that its target cannot obey."""

    code = "AX114"


class Settled:
    """The attributes of one target by name: providers for labels, artifacts for sources, tuples for lists.

    label: the target's canonical label. An attribute that the rule does not declare is an AttributeError.
    """

    __slots__ = ("_given", "_place", "_plain", "_values", "label")

    def __init__(
        self,
        label: str,
        values: dict[str, Any],
        plain: dict[str, Any],
        given: frozenset[str],
        place: Callable[[str], Place],
    ) -> None:
        self.label = label
        self._values = values
        self._plain = plain
        self._given = given
        self._place = place

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"the rule of {self.label} declares no attribute {name!r}") from None

    def given(self, name: str) -> bool:
        """Whether the target's own table writes the attribute (a default from elsewhere does not count)."""
        return name in self._given

    def plain(self, name: str) -> Any:
        """The value as cached: canonical labels instead of providers."""
        return self._plain.get(name)

    def only(self, *names: str) -> dict[str, Any]:
        """The named attributes as parameters of a stage."""
        return {name: self._values[name] for name in names}

    def error(self, attribute: str, sentence: str, *, hint: str = "", code: str = "AX114") -> AxError:
        """The error to raise about an attribute, or a place in it as `sub_configs[1].check`, with its file and line."""
        return NoEffect(sentence, place=self._place(attribute), hint=hint, code=code)
