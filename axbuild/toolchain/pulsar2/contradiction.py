"""What checks of a configuration say: an error about two settings, a warning about one without effect."""

from __future__ import annotations

from collections.abc import Sequence

from axbuild.errors import AxError, AxWarning
from axbuild.toolchain.pulsar2.message import Message, settings_of


class ContradictionError(AxError):
    """Settings that cannot all be obeyed. field: of the message, whose place is shown; "" for the message's own."""

    code = "AX524"

    def __init__(self, sentence: str, message: Message, field: str, hint: str = "") -> None:
        super().__init__(sentence, place=message.places.get(field) or message.places.get(""), hint=hint)


def idle(path: str, why: str, message: Message) -> AxWarning:
    """The warning about a field without effect; why: as in "without check 1"."""
    return told("AX527", f"{path} has no effect {why}", message, path.rpartition(".")[2])


def told(code: str, sentence: str, message: Message, field: str) -> AxWarning:
    place = message.places.get(field) or message.places.get("")
    return AxWarning(code, f"{place}: {sentence}" if place else sentence)


def differs(message: Message, field: str) -> bool:
    """Whether a field is set, and to something else than its default: a resolved config sets everything."""
    return getattr(message, field) not in (None, settings_of(type(message))[field].default)


def refuse_twins(path: str, field: str, entries: Sequence[Message]) -> None:
    """Two entries for one name."""
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        name = getattr(entry, field)
        if name in seen:
            raise ContradictionError(f"{path}[{index}] is the second entry for '{name}'", entry, field)
        seen.add(name)
