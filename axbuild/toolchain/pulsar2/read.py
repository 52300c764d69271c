"""A configuration file of any of the vendor's four formats as one BuildConfig."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, overload

from axbuild.errors import Place
from axbuild.toolchain.plain_file import read_plain
from axbuild.toolchain.pulsar2.config_text import LARGEST_BYTES, ConfigFileError, ConfigText
from axbuild.toolchain.pulsar2.declared import hint_for
from axbuild.toolchain.pulsar2.marked import Marked, meant
from axbuild.toolchain.pulsar2.message import M, Message, UnknownFieldError, read_message
from axbuild.toolchain.pulsar2.schema import BuildConfig

Reader = Callable[[ConfigText], Marked]


@overload
def read_config(path: Path) -> BuildConfig: ...
@overload
def read_config(path: Path, message: type[M]) -> M: ...
def read_config(path: Path, message: Any = BuildConfig) -> Any:
    """Raises ConfigFileError, SetTwiceError, UnknownFieldError, BadSettingError, each with its line."""
    form_of(path.name)
    try:
        data = read_plain(path, LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigFileError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > LARGEST_BYTES:
        raise ConfigFileError(f"{path} is larger than {LARGEST_BYTES:,} bytes, which no configuration is")
    try:
        return parse_config(data.decode(), str(path), message)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        sentence = f"byte {error.start} is not UTF-8"
        raise ConfigFileError(sentence, place=Place(str(path), line), hint="save it as UTF-8") from None


@overload
def parse_config(text: str, name: str) -> BuildConfig: ...
@overload
def parse_config(text: str, name: str, message: type[M]) -> M: ...
def parse_config(text: str, name: str, message: Any = BuildConfig) -> Any:
    """The configuration in a text whose format is that of the name's suffix."""
    form = form_of(name)
    source = ConfigText(name, form, text.removeprefix("\ufeff").replace("\r\n", "\n"))
    try:
        return read_message(message, _reader(form, message)(source))
    except UnknownFieldError as error:
        error.hint = hint_for(error.name, error.message, message)
        raise


def form_of(name: str) -> str:
    """JSON, YAML, TOML or prototxt; raises ConfigFileError."""
    suffix = Path(name).suffix.lower()
    if suffix not in FORMS:
        hint = meant(suffix, FORMS) or f"its name should end in {', '.join(FORMS)}"
        raise ConfigFileError(f"{name} is no configuration file by its name", hint=hint)
    return FORMS[suffix]


FORMS = {
    ".json": "JSON",
    ".yaml": "YAML",
    ".yml": "YAML",
    ".toml": "TOML",
    ".prototxt": "prototxt",
    ".pbtxt": "prototxt",
}


def _reader(form: str, message: type[Message]) -> Reader:
    """Imported when such a file is read, since PyYAML is slow to come."""
    if form == "JSON":
        from axbuild.toolchain.pulsar2.relaxed_json import read_json

        return read_json
    if form == "YAML":
        from axbuild.toolchain.pulsar2.marked_yaml import read_yaml

        return read_yaml
    if form == "TOML":
        from axbuild.toolchain.pulsar2.marked_toml import read_toml

        return read_toml
    from axbuild.toolchain.pulsar2.prototxt import read_prototxt

    return partial(read_prototxt, message=message)
