"""Values of a msgpack document under inspection: each is taken once, by type and within bounds, or refused by name."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from axbuild.toolchain.npu.program.form import MAX_RANK, MAX_REGION_BYTES, ProgramError


class Fields:
    """A dict under inspection: every field is taken once, by type; `done` refuses what is left."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise ProgramError(f"{where}: expected a record.")
        self.value: dict[str, Any] = dict(value)
        self.where = where

    def take(self, name: str) -> Any:
        if name not in self.value:
            raise ProgramError(f"{self.where}: field '{name}' is missing.")
        return self.value.pop(name)

    def integer(self, name: str, low: int, high: int) -> int:
        return integer(self.take(name), f"{self.where}.{name}", low, high)

    def text(self, name: str) -> str:
        return text(self.take(name), f"{self.where}.{name}")

    def choice(self, name: str, options: frozenset[str] | dict[str, Any]) -> str:
        value = self.text(name)
        if value not in options:
            raise ProgramError(f"{self.where}.{name}: '{value}' is unknown.")
        return value

    def items(self, name: str) -> list[Any]:
        value = self.take(name)
        if not isinstance(value, list):
            raise ProgramError(f"{self.where}.{name}: expected a list.")
        return value

    def done(self) -> None:
        if self.value:
            raise ProgramError(f"{self.where}: unknown field '{sorted(self.value)[0]}'.")


def integer(value: Any, where: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ProgramError(f"{where}: expected an integer from {low} to {high}.")
    return value


def text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ProgramError(f"{where}: expected text.")
    return value


def dtype(value: Any, known: Container[str], where: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise ProgramError(f"{where}: unknown dtype.")
    return value


def dims(value: Any, where: str, low: int) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MAX_RANK:
        raise ProgramError(f"{where}: expected a list of at most {MAX_RANK} integers.")
    return tuple(integer(item, where, low, MAX_REGION_BYTES) for item in value)
