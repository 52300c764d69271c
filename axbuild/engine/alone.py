"""One stage outside of any build: in a worker of its own, within bounds, on copies of a few files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from axbuild.engine.code.closure import Code
from axbuild.engine.workers.local import StageBounds, StageOutcome, StageRun, Workers
from axbuild.store.reflink import clone_or_copy
from axbuild.store.scratch import Scratches
from axbuild.workspace.stage import Stage


@contextmanager
def alone(
    stage: Stage, params: dict[str, Any], inputs: Mapping[str, Mapping[str, Path]], bounds: StageBounds
) -> Iterator[tuple[StageOutcome, Path]]:
    """(what became of the stage, the folder it wrote in, which goes afterwards). inputs: role -> name in it -> file."""
    with TemporaryDirectory(prefix="axbuild-") as folder:
        scratch = Scratches(Path(folder).resolve()).new("scratch")
        for role, files in inputs.items():
            for name, file in files.items():
                target = scratch / "in" / role / name
                target.parent.mkdir(parents=True, exist_ok=True)
                clone_or_copy(file, target)
        paths: dict[str, str | list[str]] = {role: f"{scratch}/in/{role}" for role in inputs}
        job = StageRun("alone", stage, Code().closure(stage), params, paths, scratch, bounds)
        with Workers(1, workspace=Path(folder), store=Path(folder)) as workers:
            workers.submit(job)
            (outcome,) = workers.wait()
        yield outcome, scratch / "out"
