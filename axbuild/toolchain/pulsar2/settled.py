"""What a build is asked for: flags over the file, and everything checked that needs no look into the model."""

from __future__ import annotations

from dataclasses import dataclass

from axbuild.errors import AxWarning
from axbuild.toolchain.pulsar2.checks import CHECKS
from axbuild.toolchain.pulsar2.merge import merged
from axbuild.toolchain.pulsar2.message import MissingSettingError, settings_of
from axbuild.toolchain.pulsar2.schema import BuildConfig, defaulted


@dataclass(frozen=True)
class SettledConfig:
    """config: what is set, the rest None; warnings: what the vendor accepts and that has no effect, or not the one that
    was meant."""

    config: BuildConfig
    warnings: tuple[AxWarning, ...]

    @property
    def resolved(self) -> BuildConfig:
        """With the vendor's defaults, as it is written beside the compiled model."""
        return defaulted(self.config)


def settled(file: BuildConfig | None, flags: BuildConfig) -> SettledConfig:
    """Raises MissingSettingError, ContradictionError."""
    config = merged(flags, file) if file else flags
    for name, declared in settings_of(BuildConfig).items():
        if declared.required and not getattr(config, name):
            hint = f"give --{name}, or {name} in the file of --config"
            raise MissingSettingError(f"--{name} is missing", hint=hint)
    return SettledConfig(config, tuple(warning for check in CHECKS for warning in check(config)))
