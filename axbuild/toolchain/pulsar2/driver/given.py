"""What a real Pulsar2 is given: a typed configuration, and calibration sets as the archives that it takes."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from axbuild.errors import AxError
from axbuild.toolchain.pulsar2.config_text import ConfigText
from axbuild.toolchain.pulsar2.message import read_message
from axbuild.toolchain.pulsar2.relaxed_json import read_json
from axbuild.toolchain.pulsar2.schema import BuildConfig

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")


def typed(config: dict[str, Any], datasets: Sequence[str] = ()) -> BuildConfig:
    """The settings that a rule put together, each checked as in a file of the user's own, but for its line.

    datasets: what calibration sets are called where Pulsar2 runs, one for each of `quant.input_configs`.
    """
    settings = deepcopy(config)
    for number, path in enumerate(datasets):
        settings["quant"]["input_configs"][number]["calibration_dataset"] = path
    try:
        return read_message(BuildConfig, read_json(ConfigText("config.json", "JSON", json.dumps(settings))))
    except AxError as error:
        error.place = None
        raise


def archive_of(data: Path, room: Path) -> Path:
    """The archive in a calibration set's folder, or one made of what lies there, in the order of names."""
    files = sorted(path for path in data.rglob("*") if path.is_file())
    if len(files) == 1 and kind_of(files[0]):
        return files[0]
    room.mkdir(parents=True, exist_ok=True)
    packed = room / f"{data.name}.tar"
    with tarfile.open(packed, "w") as archive:
        for path in files:
            archive.add(path, path.relative_to(data).as_posix())
    return packed


def kind_of(file: Path) -> str:
    """How the name of an archive ends, by which the vendor tells what it is; "" for another file."""
    return next((kind for kind in _ARCHIVES if file.name.lower().endswith(kind)), "")
