"""`axbuild.toml` and what stands over it: environment variables, then the command line.

Settings are one flat table of "section.key"; every source of them is checked against KNOWN, so a
misspelt key is an error wherever it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from axbuild.dataclass import dataclass, field
from axbuild.errors import AxError, Place
from axbuild.workspace.attributes import Attribute, Bool, Float, Int, String, WrongValue, did_you_mean
from axbuild.workspace.disk import Disk
from axbuild.workspace.toml_text import TomlText

FILE_NAME = "axbuild.toml"
PREFIX = "AXBUILD_"

KNOWN: dict[str, Attribute] = {
    "cache.dir": String("Folder of the store, from the workspace root.", default="cache"),
    "cache.share_float": Bool("Take float results made on another float platform.", default=False),
    "cache.read_from": String("Another cache to take results from; nothing is ever written there.", default=""),
    "cache.size_gb": Float("Gigabytes (10^9 bytes) of results to keep; 0 is no limit.", low=0, default=20),
    "cache.max_age_days": Float(
        "Days after which a result that no build has used is removed; 0 is never.", low=0, default=30
    ),
    "build.jobs": Int("Actions that run at once; 0 is one for each CPU.", low=0, default=0),
    "resources.cpu": Int("CPUs that actions may use; 0 is all of them.", low=0, default=0),
    "resources.memory_gb": Int(
        "Gigabytes of memory that actions may use; 0 is what the machine has.", low=0, default=0
    ),
    "resources.gpu": Int("GPUs that actions may use.", low=0, default=0),
    "resources.optimize_seconds": Float(
        "Seconds that optimising one float model may take; 0 is no limit.", low=0, default=3600
    ),
    "resources.optimize_memory_gb": Float(
        "Gigabytes of memory that optimising one float model may take; 0 is `memory_gb`.", low=0, default=0
    ),
    "toolchain.pulsar2": String(
        "How a real Pulsar2 is called: docker:IMAGE, or a command; targets with `toolchain` pulsar2 need it.",
        default="",
    ),
}
_SECTIONS = sorted({key.partition(".")[0] for key in KNOWN})


class UnknownSetting(AxError):
    code = "AX102"

    def __init__(self, what: str, key: str, known: Iterable[str], place: Place | None = None) -> None:
        super().__init__(f"unknown {what} '{key}'", place=place, hint=did_you_mean(key, known))


class WrongSetting(AxError):
    code = "AX103"

    def __init__(self, key: str, sentence: str, hint: str = "", place: Place | None = None) -> None:
        super().__init__(f"{key} {sentence}", place=place, hint=hint)


@dataclass(frozen=True)
class Settings:
    """Settled settings; zero means "find out" where KNOWN says so.

    toolchain: tool outside axbuild -> how it is called, "" where nothing says so.
    defaults: rule -> attribute -> TOML value, checked when the rules are known.
    written: "section.key" -> what the file itself says, below environment and command line.
    """

    cache_dir: str
    share_float: bool
    cache_read_from: str
    cache_size_gb: float
    cache_max_age_days: float
    jobs: int
    resources: dict[str, int]
    optimize_seconds: float
    optimize_memory_gb: float
    toolchain: dict[str, str]
    defaults: dict[str, dict[str, Any]] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict)


def read_settings(
    disk: Disk, overrides: Mapping[str, Any], configs: Iterable[str], environ: Mapping[str, str]
) -> Settings:
    """Settings of the workspace: file, then each [config.<name>] asked for, then environment, then overrides."""
    text = TomlText.read(disk, FILE_NAME)
    values = {key: known.default for key, known in KNOWN.items()}
    defaults: dict[str, dict[str, Any]] = {}
    sections = {key: value for key, value in text.data.items() if key != "config"}
    written: dict[str, Any] = {}
    _apply(text, sections, (), written, defaults)
    values |= written
    known_configs = _tables(text, text.data.get("config", {}), ("config",))
    for name in known_configs:
        chosen = _tables(text, known_configs[name], ("config", name))
        _apply(text, chosen, ("config", name), {}, {})
    for name in configs:
        if name not in known_configs:
            raise UnknownSetting("configuration", name, known_configs)
        _apply(text, known_configs[name], ("config", name), values, defaults)
    values |= _from_environment(environ)
    values |= {key: _checked(key, value, None) for key, value in overrides.items()}
    return Settings(
        cache_dir=values["cache.dir"],
        share_float=values["cache.share_float"],
        cache_read_from=values["cache.read_from"],
        cache_size_gb=values["cache.size_gb"],
        cache_max_age_days=values["cache.max_age_days"],
        jobs=values["build.jobs"],
        resources={name: values[f"resources.{name}"] for name in ("cpu", "memory_gb", "gpu")},
        optimize_seconds=values["resources.optimize_seconds"],
        optimize_memory_gb=values["resources.optimize_memory_gb"],
        toolchain={"pulsar2": values["toolchain.pulsar2"]},
        defaults=defaults,
        written=written,
    )


def _apply(
    text: TomlText,
    sections: Mapping[str, Any],
    path: tuple[str, ...],
    values: dict[str, Any],
    defaults: dict[str, dict[str, Any]],
) -> None:
    for section, table in sections.items():
        where = (*path, section)
        if section == "defaults":
            for rule, attributes in _tables(text, table, where).items():
                defaults[rule] = defaults.get(rule, {}) | _tables(text, {rule: attributes}, where)[rule]
            continue
        if section not in _SECTIONS:
            raise UnknownSetting("section", section, [*_SECTIONS, "defaults", "config"], text.place(where))
        if not isinstance(table, dict):
            raise WrongSetting(section, "takes a table", place=text.place(where))
        for key, value in table.items():
            full = f"{section}.{key}"
            values[full] = _checked(full, value, text.place((*where, key)))


def _tables(text: TomlText, value: Any, path: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(item, dict) for item in value.values()):
        raise WrongSetting(".".join(path), "takes tables", place=text.place(path))
    return value


def _checked(key: str, value: Any, place: Place | None) -> Any:
    if key not in KNOWN:
        raise UnknownSetting("setting", key, KNOWN, place)
    try:
        return KNOWN[key].parse(value, None)
    except WrongValue as error:
        raise WrongSetting(key, error.sentence, error.hint, place) from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    names = {PREFIX + key.upper().replace(".", "_"): key for key in KNOWN}
    found: dict[str, Any] = {}
    for name, value in environ.items():
        if not name.startswith(PREFIX):
            continue
        if name not in names:
            raise UnknownSetting("environment variable", name, names)
        try:
            found[names[name]] = KNOWN[names[name]].parse(_typed(KNOWN[names[name]], value), None)
        except WrongValue as error:
            raise WrongSetting(f"environment variable {name}", error.sentence, error.hint) from None
    return found


def _typed(known: Attribute, value: str) -> Any:
    if isinstance(known, Bool):
        return {"1": True, "true": True, "0": False, "false": False}.get(value.lower(), value)
    if isinstance(known, Int):
        return int(value) if value.isascii() and value.isdigit() else value
    if isinstance(known, Float):
        try:
            return float(value)
        except ValueError:
            return value
    return value
