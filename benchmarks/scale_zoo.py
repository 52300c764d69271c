"""The generated zoo of `graph_scale.py`: the same packages of eight chained actions for axbuild and for each peer.

    model.txt -> float -> frontend -+-> quant -> npu0, npu1 -> fuse -> check
    calib.txt -----------> calib ---+     (npu0 and npu1 read common/arch.txt too)

Every action does next to nothing on files of a few hundred bytes, so that what is timed is the tool. `frontend` drops
comment lines: where outputs are compared by content, an edited comment runs `float` and `frontend` and stops there.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

ARCH = "common/arch.txt"


@dataclass(frozen=True)
class Step:
    """One action of a package: what it reads (sources, or outputs of other steps) and what it does."""

    name: str
    reads: tuple[str, ...]
    does: str

    @property
    def output(self) -> str:
        return f"{self.name}.out"


STEPS = (
    Step("float", ("model.txt",), "join"),
    Step("frontend", ("float",), "strip"),
    Step("calib", ("calib.txt", "frontend"), "join"),
    Step("quant", ("frontend", "calib"), "join"),
    Step("npu0", ("quant", ARCH), "join"),
    Step("npu1", (ARCH, "quant"), "join"),
    Step("fuse", ("npu0", "npu1"), "join"),
    Step("check", ("fuse",), "sum"),
)
SHELL = {"join": "cat {ins} > {out}", "strip": "grep -v '^#' {ins} > {out}", "sum": "cksum < {ins} > {out}"}


def package(number: int) -> str:
    return f"pkgs/p{number:05d}"


def write_sources(root: Path, packages: int) -> None:
    (root / "common").mkdir(parents=True)
    (root / ARCH).write_text("engine conv 3x3\n" * 8)
    for number in range(packages):
        folder = root / package(number)
        folder.mkdir(parents=True)
        (folder / "model.txt").write_text("# comment 0\n" + f"layer {number} conv\n" * 16)
        (folder / "calib.txt").write_text(f"picture {number}\n" * 8)


def _paths(folder: str, step: Step) -> list[str]:
    """What a step reads, from the root, where outputs stand beside the sources."""
    return [name if "/" in name else f"{folder}/{name if '.' in name else name + '.out'}" for name in step.reads]


def _commands(packages: int) -> Iterator[tuple[str, list[str], str]]:
    """(output, inputs, shell command) of every action."""
    for number in range(packages):
        for step in STEPS:
            yield _command(package(number), step)


def _command(folder: str, step: Step) -> tuple[str, list[str], str]:
    reads, out = _paths(folder, step), f"{folder}/{step.output}"
    return out, reads, SHELL[step.does].format(ins=" ".join(reads), out=out)


def write_make(root: Path, packages: int) -> None:
    rules = list(_commands(packages))
    goals = " ".join(out for out, _, _ in rules if out.endswith("/check.out"))
    text = "".join(_make_rule(*rule) for rule in rules)
    (root / "Makefile").write_text(f"all: {goals}\n{text}")


def _make_rule(out: str, reads: list[str], command: str) -> str:
    return f"{out}: {' '.join(reads)}\n\t@{command}\n"


def write_ninja(root: Path, packages: int) -> None:
    lines = ["builddir = .ninja", "rule run", "  command = $do", "  restat = 1"]
    lines += [line for rule in _commands(packages) for line in _ninja_rule(*rule)]
    (root / "build.ninja").write_text("\n".join(lines) + "\n")


def _ninja_rule(out: str, reads: list[str], command: str) -> list[str]:
    # ninja stops at an output that kept its time: so it is replaced only by other bytes
    fresh = command.removesuffix(f"> {out}") + f"> {out}.new"
    return [f"build {out}: run {' '.join(reads)}", f"  do = {fresh} && (cmp -s {out}.new {out} || mv {out}.new {out})"]


def write_doit(root: Path, packages: int) -> None:
    tasks = [_doit_task(*rule) for rule in _commands(packages)]
    (root / "tasks.json").write_text(json.dumps(tasks))
    (root / "dodo.py").write_text(
        "import json\n\n"
        "DOIT_CONFIG = {'verbosity': 0, 'default_tasks': ['zoo'], 'dep_file': '.doit.db'}\n\n\n"
        "def task_zoo():\n    with open('tasks.json') as file:\n        yield from json.load(file)\n"
    )


def _doit_task(out: str, reads: list[str], command: str) -> dict[str, object]:
    return {"name": out, "actions": [command], "file_dep": reads, "targets": [out]}


def write_bazel(root: Path, packages: int) -> None:
    (root / "WORKSPACE").write_text('workspace(name = "zoo")\n')
    (root / "common/BUILD").write_text('exports_files(["arch.txt"], visibility = ["//visibility:public"])\n')
    for number in range(packages):
        (root / package(number) / "BUILD").write_text("\n".join(_genrule(step) for step in STEPS))


def _genrule(step: Step) -> str:
    names = ["//common:arch.txt" if n == ARCH else n if "." in n else f":{n}" for n in step.reads]
    # a label of the package is asked for by its file, so that one spelling serves location and srcs
    ins = " ".join(f"$(location {name})" for name in names)
    command = SHELL[step.does].format(ins=ins, out="$@")
    return (
        f'genrule(\n    name = "{step.name}",\n    srcs = {json.dumps(names)},\n'
        f'    outs = ["{step.output}"],\n    cmd = {json.dumps(command)},\n)\n'
    )


RULES = '''"""Rules of the benchmark: what `cat`, `grep -v` and `cksum` do, a target an action."""

from axbuild.workspace.providers import Files
from axbuild.workspace.rule import Labels, Source, Stage, rule

JOIN = Stage("./join_stages.py:join", outputs=("out",))
STRIP = Stage("./strip_stages.py:strip", outputs=("out",))
SUM = Stage("./sum_stages.py:checksum", outputs=("out",))


def _read(t):
    return [*([t.src] if t.src else []), *(part.files for part in t.parts)]


@rule
class join:
    """Files in a row."""

    gives = Files
    src = Source("A file.", one_file=True)
    parts = Labels("What follows it.", provides=Files)

    def actions(self, t, plan):
        done = plan.run(JOIN, parts=_read(t))
        plan.output(t.label.rpartition(":")[2] + ".out", done)
        return Files(done.only)


@rule
class strip:
    """A file without its comments."""

    gives = Files
    parts = Labels("The file.", provides=Files)

    def actions(self, t, plan):
        done = plan.run(STRIP, text=t.parts[0].files)
        plan.output(t.label.rpartition(":")[2] + ".out", done)
        return Files(done.only)


@rule
class sum:
    """A file's checksum and size."""

    gives = Files
    parts = Labels("The file.", provides=Files)

    def actions(self, t, plan):
        done = plan.run(SUM, text=t.parts[0].files)
        plan.output(t.label.rpartition(":")[2] + ".out", done)
        return Files(done.only)
'''
STAGES = {
    "join": "def join(parts: list[Path], out: Path) -> None:\n"
    '    (out / "out").write_bytes(b"".join(part.read_bytes() for part in parts))\n',
    "strip": "def strip(text: Path, out: Path) -> None:\n"
    "    lines = text.read_bytes().splitlines(keepends=True)\n"
    '    (out / "out").write_bytes(b"".join(line for line in lines if not line.startswith(b"#")))\n',
    "sum": "def checksum(text: Path, out: Path) -> None:\n"
    "    data = text.read_bytes()\n"
    '    (out / "out").write_text(f"{crc32(data)} {len(data)}\\n")\n',
}


def write_axbuild(root: Path, packages: int) -> None:
    (root / "axbuild.toml").write_text("")
    (root / "rules").mkdir()
    (root / "rules/zoo.py").write_text(RULES)
    for name, text in STAGES.items():
        imports = "from pathlib import Path\n" + ("from zlib import crc32\n" if "crc32" in text else "")
        (root / f"rules/{name}_stages.py").write_text(f"{imports}\n\n{text}")
    (root / "common/BUILD.toml").write_text('[[filegroup]]\nname = "arch"\nsrcs = "arch.txt"\n')
    text = "\n".join(_table(step) for step in STEPS)
    for number in range(packages):
        (root / package(number) / "BUILD.toml").write_text(text)


def _table(step: Step) -> str:
    labels = ["//common:arch" if name == ARCH else f":{name}" for name in step.reads if name == ARCH or "." not in name]
    sources = [name for name in step.reads if name != ARCH and "." in name]
    src = f'src = "{sources[0]}"\n' if sources else ""
    parts = f"parts = {json.dumps(labels)}\n" if labels else ""
    return f'[[{step.does}]]\nname = "{step.name}"\n{src}{parts}'


BUILD_FILES = {"axbuild": "BUILD.toml", "bazel": "BUILD"}
ONE_FILE = {"make": "Makefile", "ninja": "build.ninja", "doit": "tasks.json"}
OWN_FILES = {"settings": "axbuild.toml", "rules": "rules/zoo.py"}


def edit_graph(tool: str, root: Path, scenario: str, packages: int, edit: int) -> None:
    """Change the text that declares the actions. build, settings, rules: a comment more, in the file so called.

    attribute: other inputs of one action (it runs, and two that follow). target: one more action. package: a package
    of eight more, whose results are known, and with the next edit one less.
    """
    folder, extra = package(packages // 2), package(packages + 1)
    file = root / (f"{folder}/{BUILD_FILES[tool]}" if tool in BUILD_FILES else ONE_FILE[tool])
    # 120 ways, so that no run finds the result of one before it.
    reads = list(permutations(("float", "frontend", "calib", "quant", "npu1"), 4))[edit % 120]
    match scenario:
        case "attribute":
            _declare(tool, file, folder, Step("npu0", reads, "join"), again=True)
        case "target":
            _declare(tool, file, folder, Step(f"more{edit}", reads, "join"))
        case "package":
            _come_or_go(tool, root, file, extra)
        case _:
            text = root / OWN_FILES[scenario] if scenario in OWN_FILES else file
            _append(root / "dodo.py" if tool == "doit" else text, f"# comment {edit}\n")


def _declare(tool: str, file: Path, folder: str, step: Step, again: bool = False) -> None:
    """One more action, or `again` another in the place of the one that is called so."""
    command = _command(folder, step)
    if tool == "doit":
        tasks = [task for task in json.loads(file.read_text()) if task["name"] != command[0]]
        file.write_text(json.dumps([*tasks, _doit_task(*command)]))
        return
    out, name = re.escape(command[0]), step.name
    new, old = {
        "axbuild": (_table(step), rf'\[\[join\]\]\nname = "{name}"\n(.+\n)*'),
        "bazel": (_genrule(step), rf'genrule\(\n    name = "{name}",\n(    .*\n)*\)\n'),
        "make": (_make_rule(*command), rf"(?m)^{out}: .*\n\t.*\n"),
        "ninja": ("".join(f"{line}\n" for line in _ninja_rule(*command)), rf"(?m)^build {out}: .*\n  .*\n"),
    }[tool]
    if again:
        file.write_text(re.sub(old, lambda _: new, file.read_text(), count=1))
    else:
        _append(file, f"all: {command[0]}\n{new}" if tool == "make" else f"\n{new}")


def _come_or_go(tool: str, root: Path, file: Path, extra: str) -> None:
    """A package that is like the first one; of a file of all actions, the text before it is kept for the way back."""
    before = root / "before"
    if (root / extra).exists():
        shutil.rmtree(root / extra)
        if before.exists():
            before.replace(file)
        return
    (root / extra).mkdir()
    for name in ("model.txt", "calib.txt"):
        shutil.copy(root / package(0) / name, root / extra / name)
    if tool in BUILD_FILES:
        shutil.copy(root / package(0) / BUILD_FILES[tool], root / extra / BUILD_FILES[tool])
        return
    shutil.copy(file, before)
    for step in STEPS:
        _declare(tool, file, extra, step)


def _append(file: Path, text: str) -> None:
    with file.open("a") as out:
        out.write(text)


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "axbuild": write_axbuild,
    "ninja": write_ninja,
    "make": write_make,
    "doit": write_doit,
    "bazel": write_bazel,
}


def write_zoo(tool: str, root: Path, packages: int) -> None:
    """A fresh zoo for `tool` in `root`, which must not exist."""
    write_sources(root, packages)
    WRITERS[tool](root, packages)
