"""What `axbuild run` runs: a target is built, and its compiled model, or one in a file, answers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axbuild import progress
from axbuild.errors import AxError
from axbuild.graph.targets import load
from axbuild.toolchain.plain_file import is_there
from axbuild.workspace.label import split
from axbuild.workspace.workspace import Workspace

LARGEST_BATCH = 1 << 16


class RunArgumentError(AxError):
    code = "AX260"


def run(
    model: str,
    input: tuple[str, ...],  # noqa: A002  named as the option is
    output_dir: str,
    batch_size: int,
    group_index: int,
    layers: bool,
    top: int,
    json: bool,
) -> int | None:
    if not 0 <= batch_size <= LARGEST_BATCH or top < 0 or group_index < 0:
        raise RunArgumentError("--batch_size, --group_index and --top take numbers that are not negative")
    if layers and not output_dir:
        raise RunArgumentError("--layers has no effect without --output_dir, where the layers are written")
    file = Path(model)
    if model.startswith(("//", ":")):
        built = _built(model)
        if isinstance(built, int):
            return built
        file = built
    elif not (is_there(file) and file.is_file()):
        hint = "a target is written //package:name or :name"
        raise RunArgumentError(f"there is no file '{model}'", hint=hint)
    from axbuild.toolchain.axmodel.run import Asked
    from axbuild.toolchain.axmodel.run import run as run_file

    folder = Path(output_dir) if output_dir else None
    with shown_progress():
        run_file(file, Asked(input, folder, batch_size, group_index, layers, top, json))
    return None


def _built(target: str) -> Path | int:
    """The compiled model of a target, up to date; the exit code where it does not build."""
    from axbuild.cli.running import Options
    from axbuild.cli.running import run as build
    from axbuild.engine.run.claims import FOLDER

    workspace = Workspace.find(Path.cwd())
    graph = load(workspace, [target], workspace.package_of(Path.cwd()))
    labels = [label for label in graph.requested if graph.targets[label].rule == "axmodel"]
    if len(labels) != 1 or len(graph.requested) != 1:
        found = ", ".join(f"{label} ({graph.targets[label].rule})" for label in graph.requested[:5])
        raise RunArgumentError(f"'{target}' names {found}, and what runs is one axmodel")
    if code := build("build", Options((labels[0],), result=False)):
        return code
    return workspace.root.joinpath(FOLDER, *split(labels[0]), "compiled.axmodel")


@contextmanager
def shown_progress() -> Iterator[None]:
    """How far the samples are, on a terminal, in a line that goes again."""
    if not sys.stderr.isatty():
        yield
        return

    def show(what: str, done: int, total: int, numbers: dict[str, float]) -> None:
        sys.stderr.write(f"\r\033[K{what} {done} of {total}" if done < total else "\r\033[K")
        sys.stderr.flush()

    progress.listen(show)
    yield
