"""All fields of the configuration by their paths: what flags, the page and hints about names are made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from axbuild.toolchain.pulsar2.marked import meant, same_name
from axbuild.toolchain.pulsar2.message import Message, Setting, message_in, settings_of
from axbuild.toolchain.pulsar2.schema import BuildConfig


@dataclass(frozen=True)
class DeclaredField:
    """path: as in "quant.input_configs[].tensor_name"; owner: the message that it is a field of."""

    path: str
    owner: type[Message]
    setting: Setting

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2].removesuffix("[]")


def declared_fields(message: type[Message] = BuildConfig, path: str = "") -> Iterator[DeclaredField]:
    """Every field in the order of declaration, those of a message behind it."""
    for name, declared in settings_of(message).items():
        here = f"{path}{name}{'[]' if message_in(declared.takes) and declared.takes.many else ''}"
        yield DeclaredField(here, message, declared)
        if inner := message_in(declared.takes):
            yield from declared_fields(inner, f"{here}.")


def flag_fields(message: type[Message] = BuildConfig) -> dict[str, DeclaredField]:
    """Flag, without its dashes -> field, in the order of declaration."""
    found = declared_fields(message)
    return {field.path: field for field in found if field.setting.flag and "[]." not in field.path}


def hint_for(name: str, message: type[Message], root: type[Message] = BuildConfig) -> str:
    """What was meant by a field that the message does not have: one of its own, or another message's."""
    known = settings_of(message)
    if not same_name(name, known) and (elsewhere := _elsewhere(name, root)):
        return f"'{name}' is a field of {' and of '.join(elsewhere)}"
    return meant(name, known)


def _elsewhere(name: str, root: type[Message]) -> list[str]:
    """The messages with a field of that name, outer ones before inner ones."""
    found = [field for field in declared_fields(root) if field.name == name]
    owners = [field.path.rpartition(".")[0] or "the file itself" for field in found]
    return sorted(dict.fromkeys(owners), key=lambda path: path.count("."))[:3]
