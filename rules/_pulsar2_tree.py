"""What targets gave, as the vendor's tree of files in output_dir."""

from __future__ import annotations

import filecmp
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from axbuild.store.faults import BlobLost
from axbuild.store.reflink import clone_or_copy, write_new
from axbuild.toolchain.data.archives import Member, members
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.toolchain.pulsar2.write import written
from axbuild.workspace.glob import glob_regex

from ._pulsar2_workspace import TARGET, Prepared, is_address, pinned_address, told_as_folder_errors

MANIFEST = "placed.json"
"""in the hidden workspace: output_dir -> what stands there by us"""

_FOLDERS = {
    f"{TARGET}/frontend/": "frontend/",
    f"{TARGET}/quant/": "quant/",
    f"{TARGET}/compiler/debug/": "compiler/debug/",
    f"{TARGET}/compiler/": "compiler/debug/",
    f"{TARGET}_float/tensors/": "frontend/tensors/",
    f"{TARGET}_float/model_check.json": "frontend/model_check.json",
    f"{TARGET}_check/": "compiler/debug/check/",
    f"{TARGET}_precision/": "quant/debug/",
    f"{TARGET}_io/io/": "quant/debug/io/",
}
"""outputs of the targets -> the vendor's place; the first that fits counts"""


def place(config: BuildConfig, workspace: Prepared) -> None:
    """Put every product in its place; what an earlier build of this workspace put there and this one has not is
    removed, and no other file is touched. config: resolved, as build_context.json holds it."""
    out = Path(str(config.output_dir))
    with told_as_folder_errors(out):
        _place(config, workspace, out)


def _place(config: BuildConfig, workspace: Prepared, out: Path) -> None:
    tree = _Tree(out, workspace.root / MANIFEST)
    for source, path in _products(config, workspace):
        tree.put(path, source)
    tree.write("build_context.json", written(config).encode())
    for path, content in _datasets(config, workspace):
        tree.write(path, content)
    tree.finish()


def _products(config: BuildConfig, workspace: Prepared) -> Iterator[tuple[Path, str]]:
    """(file, path below output_dir)"""
    outputs = workspace.root / "axbuild-out"
    yield outputs / TARGET / "compiled.axmodel", str(config.output_name)
    for label in workspace.labels:
        folder = outputs / label.removeprefix("//:")
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            own = file.relative_to(outputs).as_posix()
            for prefix, there in _FOLDERS.items():
                if own.startswith(prefix):
                    yield file, there + own.removeprefix(prefix)
                    break
    if config.debug.dump_frontend_graph:
        yield outputs / TARGET / "quant/quant_axmodel.onnx", "frontend/optimzied_quant_axmodel.onnx"


def _datasets(config: BuildConfig, workspace: Prepared) -> Iterator[tuple[str, bytes]]:
    """The calibration files that were used, the first ones by name."""
    for one, table in zip(config.quant.input_configs or (), _sets(workspace), strict=False):
        most = None if one.calibration_size in (None, -1) else one.calibration_size
        with _fetched(workspace, table) if is_address(table) else _files(workspace.root, table) as found:
            for member in found[:most]:
                yield f"quant/dataset/{one.tensor_name}/{member.name}", member.read()


def _sets(workspace: Prepared) -> Iterable[str]:
    return [str(one["src"]) for rule, one in workspace.tables if rule == "calibration_set"]


@contextmanager
def _fetched(workspace: Prepared, address: str) -> Iterator[list[Member]]:
    """Of a data set that was fetched; none where another cache had it already decoded."""
    source = pinned_address(address)
    with TemporaryDirectory() as folder:
        try:
            Path(folder, source.name).write_bytes(workspace.store.read(source.digest))
        except BlobLost:
            yield []
            return
        with members(Path(folder)) as found:
            yield found


@contextmanager
def _files(root: Path, source: str) -> Iterator[list[Member]]:
    """Of a data set of this machine."""
    first = root / Path(source).parts[0] / Path(source).parts[1]  # each has a folder of its own
    with members(first) as found:
        wanted = Path(source).relative_to(first.relative_to(root)).as_posix()
        pattern = re.compile(glob_regex(wanted))
        yield [one for one in found if wanted == "." or one.archive == wanted or pattern.fullmatch(one.name)]


class _Tree:
    def __init__(self, out: Path, manifest: Path) -> None:
        self._out, self._manifest = out, manifest
        self.placed: dict[str, None] = {}

    def put(self, path: str, source: Path) -> None:
        target = self._ready(path)
        if not (target.is_file() and filecmp.cmp(source, target, shallow=False)):
            clone_or_copy(source, fresh := self._fresh(target))
            fresh.replace(target)

    def write(self, path: str, content: bytes) -> None:
        target = self._ready(path)
        if not (target.is_file() and target.read_bytes() == content):
            write_new(fresh := self._fresh(target), content)
            fresh.replace(target)

    def _ready(self, path: str) -> Path:
        self.placed[path] = None
        target = self._out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    @staticmethod
    def _fresh(target: Path) -> Path:
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        return fresh

    def finish(self) -> None:
        """Remove what this build has not, and remember what it has."""
        known: dict[str, list[str]] = {}
        if self._manifest.is_file():
            known = json.loads(self._manifest.read_text(encoding="utf-8"))
        where = str(self._out.absolute())
        for path in known.get(where, []):
            if path not in self.placed:
                (self._out / path).unlink(missing_ok=True)
                self._remove_empty((self._out / path).parent)
        text = json.dumps(known | {where: sorted(self.placed)}, indent=1)
        self._manifest.write_text(text + "\n", encoding="utf-8")

    def _remove_empty(self, folder: Path) -> None:
        while folder != self._out and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent
