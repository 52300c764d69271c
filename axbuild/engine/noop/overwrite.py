"""What --events, --junit and --profile may write to: a new file, an empty one, or an earlier report of the same kind.

Whatever else stands at the path (a BUILD file, a rule, a model, also behind a link) is somebody's work and stays, and
so does an earlier report that a target has for a source. Told before anything is read, and mostly from the file alone;
the no-op asks it too, so nothing heavy is imported, save to look into the package around an earlier report.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from axbuild.engine.noop.snapshot import root_of

BEGINNINGS = {
    "--events": b'{"event":"build_started"',
    "--junit": b'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="axbuild"',
    "--profile": b'{"traceEvents":[',
}
_BUILDS_READ = ("BUILD.toml", "axbuild.toml", ".axbuildignore")


def refusal(flag: str, path: str) -> str:
    """Why a report must not be written there, or ""; what the system itself would refuse is left to it."""
    real = os.path.realpath(path)
    folder, name = os.path.split(real)
    if name in _BUILDS_READ or (os.path.basename(folder) == "rules" and name.endswith(".py")):
        return f"a file called {name} is what builds read"
    try:
        if not S_ISREG(os.stat(real).st_mode):
            return ""
        with open(real, "rb") as file:
            found = file.read(len(BEGINNINGS[flag]))
    except OSError:
        return ""
    if found and found != BEGINNINGS[flag]:
        return "it holds something else than an earlier report"
    label = _declarer(real) if found and _is_in_package(folder) else ""
    return f"it is a source of {label}" if label else ""


def _is_in_package(folder: str) -> bool:
    root = root_of(folder)
    while root and folder.startswith(root):
        if os.path.isfile(f"{folder}/{_BUILDS_READ[0]}"):
            return True
        folder = folder.rpartition("/")[0]
    return False


def _declarer(file: str) -> str:
    from pathlib import Path

    from axbuild.workspace.declared import declarer

    return declarer(Path(file))


def refusals(files: dict[str, str | None]) -> tuple[str, str, str] | None:
    """(flag, path, why) of the first that must not be written; files: flag -> path."""
    taken: dict[str, str] = {}
    for flag, path in files.items():
        if path is None:
            continue
        if why := refusal(flag, path):
            return flag, path, why
        real = os.path.realpath(path)
        if os.path.isfile(real) or not os.path.exists(real):
            if real in taken:
                return flag, path, f"{taken[real]} names the same file"
            taken[real] = flag
    return None
