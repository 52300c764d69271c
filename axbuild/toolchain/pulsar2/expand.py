"""From a configuration as it is read to the tables that it stands for; what a rule and a verb both call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from axbuild.errors import AxWarning
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.toolchain.pulsar2.settled import settled
from axbuild.toolchain.pulsar2.tables import BuildTable, tables


@dataclass(frozen=True)
class Expanded:
    """warnings: of settings without effect, which the tables leave out."""

    tables: list[BuildTable]
    warnings: tuple[AxWarning, ...]


def expand(config: BuildConfig, over: Mapping[str, str], name: str) -> Expanded:
    """over: fields of the root that stand over the configuration's. name: of the axmodel.

    The chip may be one that the vendor's command has no name for, so it is put in behind the checks.
    """
    checked = settled(config, BuildConfig(output_dir=".", input=over.get("input")))
    fields: dict[str, Any] = dict(over)
    return Expanded(tables(replace(checked.config, **fields), name), checked.warnings)
