"""The build wing against its peers on a generated zoo of trivial actions.

    python benchmarks/graph_scale.py --packages 1000 --peers ninja,make,doit,bazel --json FILE

A package is eight chained actions (`scale_zoo.py`), so 1,000 packages are 8,000 actions, with 8,000 outputs that each
tool keeps in place and looks at again. Scenarios, in each of which the tools take turns:

    cold     nothing built yet: once
    settle   nothing changed, for the first time after that: once (axbuild learns here what has come to rest)
    noop     nothing changed
    leaf     a layer added to one package: its eight actions run
    comment  a comment edited in one source: with outputs compared by content, two actions run
    build    a comment added to one package's declaration (a BUILD file; the peers' one file of all actions)
    attribute  two inputs of one action change places there
    target   one more action there
    package  a package of eight more actions, whose results are known, and next time one less
    settings, rules  a comment in axbuild.toml, in the file of rules: axbuild alone
    label    one package's last target asked for, everything valid, a package never asked for alone before

A row is a tool, a scenario, the median of its seconds, and MiB: the largest process of the command (`daemon_mib` is
what a server of the tool holds beside it). Peers are looked for on PATH; those that are not there are named and left
out. Modules are compiled to bytecode once, as an installed package's are.

100,000 actions take minutes to build and seconds to edit: `--keep` leaves the zoos in a folder, and measures those that
it finds there without building them anew; `--scenarios` names what to measure.

    python benchmarks/graph_scale.py --packages 12500 --keep FOLDER --runs 3 --scenarios noop,leaf,build,target,package
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scale_zoo import BUILD_FILES, ONE_FILE, WRITERS, edit_graph, package, write_zoo

PEERS = tuple(name for name in WRITERS if name != "axbuild")
DECLARED = ("build", "attribute", "target", "package", "settings", "rules")
"""scenarios that edit what declares the actions"""
OWN = ("settings", "rules")
"""of files that only axbuild has"""
TIMED = ("noop", "leaf", "comment", *DECLARED, "label")
_BUILT = re.compile(rb"(\d+) built")


@dataclass
class Tool:
    """One tool and its own copy of the zoo."""

    name: str
    root: Path
    jobs: int
    program: str
    edits: int = field(default_factory=lambda: int(time.time()))
    """a number that no edit had before, in a zoo that was kept as well"""
    is_new: bool = True
    asked: int = 0
    built: set[int] = field(default_factory=set)

    def command(self, number: int | None = None) -> list[str]:
        """What builds everything, or one package's last target."""
        target = "" if number is None else f"{package(number)}/check.out"
        label = "//..." if number is None else f"//{package(number)}:check"
        match self.name:
            case "axbuild":
                return [self.program, "build", label, "--jobs", str(self.jobs)]
            case "bazel":
                quiet = ["--noshow_progress", "--ui_event_filters=-info", "--spawn_strategy=local"]
                return [*self._bazel(), "build", *quiet, f"--jobs={self.jobs}", label]
            case "ninja":
                return [self.program, f"-j{self.jobs}", *([target] if target else [])]
            case "doit":
                return [self.program, "-n", str(self.jobs), *([f"zoo:{target}"] if target else [])]
            case _:
                return [self.program, "-s", f"-j{self.jobs}", *([target] if target else [])]

    def _bazel(self) -> list[str]:
        return [self.program, f"--output_user_root={self.root}.bazel"]

    def run(self, number: int | None = None) -> tuple[float, float]:
        """(seconds, MiB of the largest process of the command); ends the benchmark where the tool fails."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = str(self.root.parent / "bytecode")
        with tempfile.TemporaryFile() as said:
            begin = time.perf_counter()
            process = subprocess.Popen(
                self.command(number), cwd=self.root, env=environment, stdout=said, stderr=said, stdin=subprocess.DEVNULL
            )
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - begin
            process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            text = said.read()
        if process.returncode:
            sys.exit(f"{self.name} failed:\n{text[-2000:].decode(errors='replace')}")
        if self.name == "axbuild" and (found := _BUILT.findall(text)):
            self.built.add(int(found[-1]))
        return seconds, usage.ru_maxrss / 1024

    def edited(self, packages: int) -> dict[Path, str]:
        """The texts that edits make longer."""
        folder = self.root / package(packages // 2)
        graph = folder / BUILD_FILES[self.name] if self.name in BUILD_FILES else self.root / ONE_FILE[self.name]
        return {path: path.read_text() for path in (folder / "model.txt", graph)}

    def once(self, scenario: str, packages: int) -> tuple[float, float]:
        """Edit what the scenario edits, then run."""
        self.edits += 1
        model = self.root / package(packages // 2) / "model.txt"
        first, rest = model.read_text().split("\n", 1)
        if scenario == "leaf":
            model.write_text(f"{first}\n{rest}layer extra {self.edits}\n")
        elif scenario == "comment":
            model.write_text(f"# comment {self.edits}\n{rest}")
        elif scenario in DECLARED:
            edit_graph(self.name, self.root, scenario, packages, self.edits)
        elif scenario == "label":
            self.asked += 1
            return self.run(self.asked % packages)
        return self.run()

    def daemon_mib(self) -> float:
        for file in Path(f"{self.root}.bazel").glob("*/server/server.pid.txt"):
            status = Path(f"/proc/{file.read_text().strip()}/status")
            if found := re.search(r"VmHWM:\s+(\d+)", status.read_text() if status.exists() else ""):
                return int(found[1]) / 1024
        return 0.0

    def close(self) -> None:
        if self.name == "bazel":
            subprocess.run([*self._bazel(), "shutdown"], cwd=self.root, capture_output=True, check=False)


def found_tools(peers: list[str], work: Path, packages: int, jobs: int) -> tuple[list[Tool], list[str]]:
    """axbuild and the peers that are installed, each with a zoo; and the names of the others."""
    own = Path(sys.executable).with_name("axbuild")
    programs = {name: shutil.which(name) for name in peers} | {"axbuild": str(own)}
    tools = [
        Tool(name, work / name, jobs, program)
        for name in ("axbuild", *peers)
        if (program := programs[name]) is not None
    ]
    for tool in tools:
        if tool.root.exists():
            tool.is_new = False
        else:
            write_zoo(tool.name, tool.root, packages)
    return tools, [name for name in peers if programs[name] is None]


def row(tool: Tool, scenario: str, runs: list[tuple[float, float]], packages: int) -> dict[str, Any]:
    seconds = [run[0] for run in runs]
    actions = 8 * packages
    return {
        "tool": tool.name,
        "scenario": scenario,
        "actions": actions,
        "seconds": round(statistics.median(seconds), 4),
        "least": round(min(seconds), 4),
        "most": round(max(seconds), 4),
        "runs": len(runs),
        "mib": round(max(run[1] for run in runs)),
        "daemon_mib": round(tool.daemon_mib()),
        "load": os.getloadavg()[0],
        **({"ms_an_action": round(seconds[0] / actions * 1000, 2)} if scenario == "cold" else {}),
        **({"ran": sorted(tool.built)} if tool.name == "axbuild" else {}),
    }


def measure(tools: list[Tool], packages: int, runs: int, scenarios: list[str]) -> list[dict[str, Any]]:
    rows = []
    first = ("cold", "settle") if any(tool.is_new for tool in tools) else ("settle",)
    for scenario in (*first, *scenarios):
        if scenario == scenarios[0]:
            time.sleep(3)  # so that no file is younger than the coarsest clock
        those = [tool for tool in tools if tool.name == "axbuild" or scenario not in OWN]
        taken: dict[str, list[tuple[float, float]]] = {tool.name: [] for tool in those}
        for tool in those:
            tool.built.clear()
        for _ in range(runs if scenario in TIMED else 1):
            for tool in those:
                taken[tool.name].append(tool.once(scenario, packages))
        for tool in those:
            rows.append(row(tool, scenario, taken[tool.name], packages))
            print(_line(rows[-1]), file=sys.stderr, flush=True)
    return rows


def _line(found: dict[str, Any]) -> str:
    spread = f"({found['least']:.3f} - {found['most']:.3f})" if found["runs"] > 1 else ""
    ran = f"ran {found['ran']}" if "ran" in found else ""
    memory = f"{found['mib']} MiB" + (f" + {found['daemon_mib']} MiB" if found["daemon_mib"] else "")
    return f"{found['scenario']:9} {found['tool']:8} {found['seconds']:8.3f} s {spread:18} {memory:16} {ran}"


def machine() -> dict[str, Any]:
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {
        "cpu": model[1] if model else platform.processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="axbuild against other build tools on a zoo of trivial actions")
    parser.add_argument("--packages", type=int, default=100, metavar="N", help="eight actions each")
    parser.add_argument("--peers", default="", metavar="NAMES", help=f"of {','.join(PEERS)}")
    parser.add_argument("--runs", type=int, default=5, help="of each scenario but the cold build")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--scenarios", default=",".join(TIMED), metavar="NAMES", help=f"of {','.join(TIMED)}")
    parser.add_argument("--work", type=Path, help="where the zoos go (a temporary folder)")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="leave the zoos there, or measure those found there"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there")
    given = parser.parse_args()
    peers = [name for name in given.peers.split(",") if name]
    if unknown := sorted(set(peers) - set(PEERS)):
        parser.error(f"unknown peers: {', '.join(unknown)}")
    scenarios = given.scenarios.split(",")
    if unknown := sorted(set(scenarios) - set(TIMED)):
        parser.error(f"unknown scenarios: {', '.join(unknown)}")
    begin = machine()
    with ExitStack() as stack:
        work = given.keep or stack.enter_context(tempfile.TemporaryDirectory(dir=given.work, prefix="graph-scale-"))
        tools, left_out = found_tools(peers, Path(work).absolute(), given.packages, given.jobs)
        if left_out:
            print(f"not installed, left out: {', '.join(left_out)}", file=sys.stderr)
        before = [tool.edited(given.packages) for tool in tools]
        try:
            rows = measure(tools, given.packages, given.runs, scenarios)
        finally:
            for tool, texts in zip(tools, before, strict=True):
                for path, text in texts.items():
                    path.write_text(text)
                tool.close()
    found = {"packages": given.packages, "machine": begin, "left_out": left_out, "rows": rows}
    text = json.dumps(found, indent=1)
    if given.json:
        given.json.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
