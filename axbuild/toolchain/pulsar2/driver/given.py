"""What a real Pulsar2 is given: a typed configuration, and calibration sets as the archives that it takes."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from axbuild.errors import AxError
from axbuild.toolchain.pulsar2.config_text import ConfigText
from axbuild.toolchain.pulsar2.driver.call import Pulsar2Run
from axbuild.toolchain.pulsar2.message import read_message
from axbuild.toolchain.pulsar2.relaxed_json import read_json
from axbuild.toolchain.pulsar2.schema import BuildConfig

_SET = ".calibration_dataset"
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")


def typed(config: dict[str, Any], paths: Mapping[str, str]) -> BuildConfig:
    """The settings that a rule put together, each checked as in a file of the user's own, but for its line.

    paths: what data is called where Pulsar2 runs, by its place: keys and numbers with points between them.
    """
    settings = deepcopy(config)
    for place, path in paths.items():
        _put(settings, place, path)
    try:
        return read_message(BuildConfig, read_json(ConfigText("config.json", "JSON", json.dumps(settings))))
    except AxError as error:
        error.place = None
        raise


def _put(settings: Any, place: str, path: str) -> None:
    *way, last = place.split(".")
    for step in way:
        settings = settings[int(step) if isinstance(settings, list) else step]
    settings[last] = path


def given(run: Pulsar2Run, data: Sequence[Path], places: Sequence[str]) -> dict[str, str]:
    """`data` as Pulsar2 is to read it, by its place: calibration sets as archives, the rest as it is."""
    paths = {}
    for number, (folder, place) in enumerate(zip(data, places, strict=True)):
        if place.endswith(_SET):
            file = archive_of(folder, run.packed)
            paths[place] = run.give(f"dataset{number}{kind_of(file)}", file)
        else:
            paths[place] = run.give(f"samples{number}", folder)
    return paths


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
