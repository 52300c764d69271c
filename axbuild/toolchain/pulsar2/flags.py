"""The command line of the vendor's tool: a flag for each declared field that has one, `--config` and `-h`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, overload

from axbuild.errors import AxError, Place
from axbuild.toolchain.pulsar2.declared import DeclaredField, flag_fields
from axbuild.toolchain.pulsar2.marked import Marked, meant, shown
from axbuild.toolchain.pulsar2.message import M, MissingSettingError, message_in, settings_of
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.toolchain.pulsar2.takes import Many, Takes, Toggle, Word

_WIDTH, _COLUMN = 80, 24
_HELD = "\xa0"
"""a space at which no line ends"""
_CONFIG = "File with more settings: json, yaml, toml, prototxt. type: string. required: false. default: none."


class BadFlagError(AxError):
    """A word of the command line that is no flag, or no value of the one before it."""

    code = "AX526"


@dataclass(frozen=True)
class CommandLine(Generic[M]):
    """settings: what flags set; config: path of --config, "" where there is none; help: whether help is asked for."""

    settings: M
    config: str
    help: bool


@overload
def parse_flags(arguments: Sequence[str]) -> CommandLine[BuildConfig]: ...
@overload
def parse_flags(arguments: Sequence[str], message: type[M]) -> CommandLine[M]: ...
def parse_flags(arguments: Sequence[str], message: Any = BuildConfig) -> Any:
    """The words behind `build` as settings of the message; of a flag that stands twice the last counts. Raises
    BadFlagError, BadSettingError, MissingSettingError."""
    known = flag_fields(message)
    values: dict[str, Any] = {}
    config, asks_help = "", False
    for name, words in _flags(arguments):
        if name in ("-h", "--help"):
            asks_help = True
        elif name == "--config":
            config = _single(name, words)
        elif name.removeprefix("--") in known and name.startswith("--"):
            values[name[2:]] = _value(name, words, known[name[2:]].setting.takes)
        else:
            raise BadFlagError(f"there is no flag {name}", hint=_hint(name, known))
    return CommandLine(_built(message, values, ""), config, asks_help)


def _flags(arguments: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each flag with the words behind it."""
    flags: list[tuple[str, list[str]]] = []
    for word in arguments:
        if word.startswith("--") or word == "-h":
            name, equals, value = word.partition("=")
            flags.append((name, [value] if equals else []))
        elif flags:
            flags[-1][1].append(word)
        else:
            raise BadFlagError(f"'{word}' stands behind no flag", hint="the model is named by --input")
    return iter(flags)


def _hint(name: str, known: dict[str, DeclaredField]) -> str:
    """A flag that was meant: its name may lack the part before the point."""
    word = name.lstrip("-")
    whole = [flag for flag in known if flag.rpartition(".")[2] == word]
    if whole:
        return f"did you mean {' or '.join(f'--{flag}' for flag in whole)}?"
    return meant(name, [f"--{flag}" for flag in (*known, "config")])


def _single(name: str, words: list[str]) -> str:
    if not words:
        raise MissingSettingError(f"{name} needs a value")
    if len(words) > 1:
        raise BadFlagError(f"{name} takes one value, '{words[1]}' is a second one")
    return words[0]


def _value(name: str, words: list[str], takes: Takes) -> Any:
    if isinstance(takes, Many):
        return takes.read(Marked([Marked(takes.of_word(word)) for word in words]), name)
    word = "true" if isinstance(takes, Toggle) and not words else _single(name, words)
    return takes.read(Marked(takes.of_word(word)), name)


def _built(message: type[M], values: dict[str, Any], prefix: str) -> M:
    """The message that flags set, each field with its flag for its place."""
    fields: dict[str, Any] = {}
    for name, declared in settings_of(message).items():
        if f"{prefix}{name}" in values:
            fields[name] = values[f"{prefix}{name}"]
        elif (inner := message_in(declared.takes)) and not declared.takes.many:
            fields[name] = _built(inner, values, f"{prefix}{name}.")
    places = {name: Place(f"--{prefix}{name}") for name in fields}
    return message(**fields, places=places)


def help_text(program: str = "axbuild pulsar2 build", message: Any = BuildConfig) -> str:
    """The usage and every flag with its type, default and choices."""
    known = flag_fields(message)
    flags = ["-h", "--config", *(_written(flag, field) for flag, field in known.items())]
    head = f"usage: {program} "
    usage = textwrap.wrap(" ".join(f"[{flag}]".replace(" ", _HELD) for flag in flags), _WIDTH - len(head))
    lines = [head + ("\n" + " " * len(head)).join(usage).replace(_HELD, " "), "", "options:"]
    lines += _entry("-h, --help", "Show this help and exit.")
    lines += _entry("--config", _CONFIG)
    for flag, field in known.items():
        lines += _entry(_written(flag, field), f"{field.setting.about} {_notes(field)}")
    return "\n".join(lines) + "\n"


def _written(flag: str, field: DeclaredField) -> str:
    takes = field.setting.takes
    return f"--{flag}" + (" [...]" if takes.many else " []" if isinstance(takes, Toggle) else "")


def _notes(field: DeclaredField) -> str:
    """Type, whether it is required, default, choices or limits, as the vendor's help has them."""
    declared = field.setting
    notes = [f"type: {declared.takes.word}", f"required: {shown(declared.required)}"]
    if not declared.required:
        notes.append(f"default: {default_of(field)}")
    if isinstance(declared.takes, Word):
        notes.append(f"option: {', '.join(declared.takes.names)}")
    elif limits := declared.takes.limits:
        notes.append(f"limitation: {limits}")
    return ". ".join(notes) + "."


def default_of(field: DeclaredField) -> str:
    """The default as help and pages show it."""
    default = field.setting.default
    if default is None or default == "":
        return field.setting.otherwise or "none"
    return default if isinstance(default, str) else shown(default)


def _entry(flag: str, about: str) -> list[str]:
    text = textwrap.wrap(about, _WIDTH - _COLUMN)
    lead = f"  {flag}"
    head = [lead.ljust(_COLUMN) + text.pop(0)] if len(lead) < _COLUMN - 1 else [lead]
    return head + [" " * _COLUMN + line for line in text]
