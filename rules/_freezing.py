"""What `axbuild freeze` runs: the scheme behind the last build of a quantised model, written down with its lock."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from axbuild.engine.alone import alone
from axbuild.engine.run.resources import optimize_bounds
from axbuild.errors import AxError
from axbuild.graph.targets import TargetGraph, load
from axbuild.store.faults import BlobLost
from axbuild.store.store import Store
from axbuild.version import __version__
from axbuild.workspace.label import split
from axbuild.workspace.rule import Stage
from axbuild.workspace.workspace import Workspace

from ._nouns import ops_of
from .freeze import LOCK

WRITE_LOCK = Stage("axbuild.toolchain.quant.write_lock:write_lock", outputs=(LOCK,), named=ops_of("model"))


class FreezeError(AxError):
    code = "AX259"


def freeze(target: str, output: str) -> int | None:
    workspace = Workspace.find(Path.cwd())
    graph = load(workspace, [target], workspace.package_of(Path.cwd()))
    label = _one_model(graph, target)
    package = split(label)[0]
    lock = Path(output) if output else workspace.root / package / LOCK
    with Store(workspace.cache_dir) as store, _inputs(store, _key_inputs(workspace, store, label), label) as inputs:
        bounds = optimize_bounds(workspace.settings)
        with alone(WRITE_LOCK, {"release": __version__}, inputs, bounds) as (outcome, out):
            if outcome.error:
                raise AxError.from_record(outcome.error)
            _write(lock, (out / LOCK).read_bytes())
        _write(Path(f"{lock}.scheme"), next(iter(inputs["scheme"].values())).read_bytes())
    print(f"{os.path.relpath(lock)} and {os.path.relpath(lock)}.scheme: the codes of {label} as it was last built.")
    print(f'Commit both, and say frozen = "{os.path.relpath(lock, workspace.root / package)}" in the quant_model.')
    return None


def _one_model(graph: TargetGraph, target: str) -> str:
    if len(graph.requested) != 1:
        raise FreezeError(f"'{target}' names {len(graph.requested)} targets, and one is frozen at a time")
    (label,) = graph.requested
    found = graph.targets[label]
    if found.rule != "quant_model":
        raise FreezeError(f"{label} is of the rule {found.rule}, and what is frozen is a quant_model")
    if "frozen" in found.given():
        hint = "take `frozen` away and build, where it shall be frozen as it comes out now"
        raise FreezeError(f"{label} is frozen already", hint=hint)
    return label


def _key_inputs(workspace: Workspace, store: Store, label: str) -> Mapping[str, Any]:
    """What the last result of the target's `quantize` was made from: role -> digests."""
    key = store.results.last_key(workspace.id, label, "quantize")
    result = store.results.get(key) if key else None
    if result is None:
        raise FreezeError(f"{label} has no result here", hint=f"build it first: axbuild build {label}")
    inputs: Mapping[str, Any] = result.key_record["inputs"]
    return inputs


@contextmanager
def _inputs(store: Store, digests: Mapping[str, Any], label: str) -> Iterator[dict[str, dict[str, Path]]]:
    """Role -> name -> a file with the verified bytes, while the context lasts."""
    with TemporaryDirectory(prefix="axbuild-") as folder:
        found: dict[str, dict[str, Path]] = {}
        for role, shape in digests.items():
            for name, digest in shape.items() if isinstance(shape, dict) else (("", shape),):
                file = Path(folder, role, name or "file")
                file.parent.mkdir(parents=True, exist_ok=True)
                try:
                    file.write_bytes(store.blobs.read_bytes(digest))
                except BlobLost:
                    hint = f"axbuild build {label} makes it again"
                    raise FreezeError(f"the cache has lost what {label} was made from", hint=hint) from None
                found.setdefault(role, {})[name] = file
        yield found


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise FreezeError(f"{path} cannot be written: {error.strerror or error}") from None
