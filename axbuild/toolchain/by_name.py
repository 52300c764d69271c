"""What is said of a model's inputs or outputs by their names, under one name of all that have nothing of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

DEFAULT = "DEFAULT"

V = TypeVar("V")


def said_of(name: str, said: Mapping[str, V]) -> V | None:
    """The entry of an input or output, or that of all others; None where there is neither."""
    return said.get(name, said.get(DEFAULT))
