"""What `axbuild inspect` runs: a compiled model is read here, an ONNX file in a worker, with the front end for a float
model."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axbuild.errors import AxError
from axbuild.workspace.rule import Stage

from ._chips import CHIPS
from ._external_data import external_data_files
from ._nouns import ops_of

if TYPE_CHECKING:
    from axbuild.store.ancestry import Ancestor

OUTLOOK = Stage(
    "axbuild.toolchain.npu.plan.outlook:outlook",
    float=True,
    outputs=("facts.json", "outlook.json"),
    named=ops_of("model"),
    bounds="optimize",
)


_MODE = "NPU1"
"""what is built where nothing else is asked for"""


class InspectArgumentError(AxError):
    code = "AX258"


ENDS: dict[str, Callable[[tuple[str, ...]], Any]] = {
    "input_shapes": lambda given: dict(map(_shape, given)),
    "fix": lambda given: dict(map(_value, given)),
    "inputs": list,
    "outputs": list,
    "rename": lambda given: dict(map(_name, given)),
}
"""attributes of a float_model that options of the same names stand for -> how these are read"""


def inspect(file: Path, json: bool, chip: str, **ends: tuple[str, ...]) -> int | None:
    """ends: what was given of each of ENDS, any number of times."""
    given = {name: texts for name, texts in ends.items() if texts}
    if file.suffix == ".onnx":
        return _float_model(file, json, chip, {name: ENDS[name](texts) for name, texts in given.items()})
    if not file.is_file():
        raise InspectArgumentError(f"{file} is a pipe, a socket or a device, and no plain file")
    if chip or given:
        raise InspectArgumentError(f"every option but --json is for float models, and {file.name} is none by its name")
    _compiled(file, json)
    return None


def _compiled(file: Path, as_json: bool) -> None:
    from axbuild.report.provenance import provenance_lines, provenance_record
    from axbuild.toolchain.axmodel.inspect import inspect as inspect_container

    found, lines = inspect_container(file, {chip.container: chip.name for chip in reversed(CHIPS.values())})
    ancestors = _ancestors(found["sha256"])
    if as_json:
        print(json.dumps(found | {"provenance": provenance_record(ancestors)}))
    else:
        print("\n".join([*lines, *provenance_lines(ancestors)]))


def _ancestors(digest: str) -> list[Ancestor]:
    """The actions behind a file, as the cache of the workspace around the current folder remembers them."""
    from axbuild.store.ancestry import ancestry
    from axbuild.store.rows import NoRows, Rows
    from axbuild.workspace.workspace import NoWorkspace, Workspace

    try:
        rows = Rows(Workspace.find(Path.cwd()).cache_dir / "results", foreign=True)
    except (NoWorkspace, NoRows):
        return []
    try:
        return ancestry(rows, digest)
    finally:
        rows.close()


def _float_model(file: Path, as_json: bool, chip: str, ends: dict[str, Any]) -> int | None:
    """ends: attributes of the float_model that the options stand for."""
    from axbuild.engine.alone import alone
    from axbuild.engine.run.resources import optimize_bounds
    from axbuild.report.outlook import build_lines, outlook_lines

    chips = _chips(chip)
    params = ends | {"chips": [asdict(CHIPS[name].support_in(_MODE)) for name in chips]}
    with alone(OUTLOOK, params, {"model": _files(file)}, optimize_bounds(_settings())) as (outcome, out):
        if not (out / "facts.json").exists():
            raise _error(outcome.error or {})
        found = _read(out / "facts.json")
        if outcome.ok and (outlook := _read(out / "outlook.json")):
            found |= {"nodes": outlook["nodes"], "macs": outlook["macs"], "rows": outlook["rows"]}
            found["build"] = build_lines(file.name, outlook["inputs"], ends, chips[0] if chip else "AX650")
    size = file.stat().st_size
    found |= {"chips": chips, "notes": [one["sentence"] for one in outcome.diagnostics]}
    if as_json:
        print(json.dumps({"file": file.name, "bytes": size} | found))
    else:
        print("\n".join(outlook_lines(file.name, size, found)))
    sys.stdout.flush()  # before what went wrong, where there is anything
    if outcome.error:
        raise _error(outcome.error)
    return None


def _error(record: dict[str, Any]) -> AxError:
    error = AxError.from_record(record)
    if error.code == "AX304":
        error.hint += "; here --input_shapes NAME=SIZE,SIZE,... says it"
    return error


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _chips(name: str) -> list[str]:
    """The chip asked for, or every one that something is compiled for."""
    if name and name not in CHIPS:
        raise InspectArgumentError(f"--chip takes the name of a chip, got '{name}'", hint=f"known: {', '.join(CHIPS)}")
    if name and CHIPS[name].refused:
        raise InspectArgumentError(f"{name} has no reference NPU: {CHIPS[name].refused}")
    return [name] if name else sorted({chip.name for chip in CHIPS.values() if not chip.refused})


def _shape(text: str) -> tuple[str, list[int]]:
    name, _, sizes = text.rpartition("=")
    if not name or not all(size.strip().isdecimal() for size in sizes.split(",")):
        raise InspectArgumentError(f"--input_shapes takes NAME=SIZE,SIZE,..., got '{text}'")
    return name, [int(size) for size in sizes.split(",")]


def _name(text: str) -> tuple[str, str]:
    name, _, new = text.rpartition("=")
    if not name or not new:
        raise InspectArgumentError(f"--rename takes NAME=NEW, got '{text}'")
    return name, new


def _value(text: str) -> tuple[str, Any]:
    """Numbers, true, false and lists are the same in JSON and TOML."""
    name, _, value = text.partition("=")
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not name or not isinstance(found, bool | int | float | list):
        raise InspectArgumentError(f"--fix takes NAME=VALUE, a number, true, false, or a list of these, got '{text}'")
    return name, found


def _files(file: Path) -> dict[str, Path]:
    """The model and its external data, by their names below its folder."""
    from axbuild.workspace.disk import RealDisk

    folder = file.resolve().parent
    names = [file.name, *external_data_files(RealDisk(str(folder)), file.name)]
    return {name: folder / name for name in names}


def _settings() -> Any:
    """Of the workspace around the current folder; the defaults where there is none."""
    from axbuild.workspace.disk import MemoryDisk
    from axbuild.workspace.settings import read_settings
    from axbuild.workspace.workspace import NoWorkspace, Workspace

    try:
        return Workspace.find(Path.cwd()).settings
    except NoWorkspace:
        return read_settings(MemoryDisk({"axbuild.toml": ""}), {}, (), os.environ)
