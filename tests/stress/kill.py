"""Kills builds at random moments, and checks what the next build makes of it.

    python tests/stress/kill.py --rounds 200 --seed 1

Each round edits a small workspace, builds it in real processes, kills the client, the zygote, a worker or all of them
with SIGKILL at a random moment (sometimes the build after it too), and then asks four things: does the store verify;
does the next build run exactly what the event log does not say finished; are its outputs those of a second workspace
that nobody disturbs; is nothing left lying about. Exit code 1 where an answer is no.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from tiny_workspace import Tiny

VICTIMS = ("client", "zygote", "worker", "all")
PACKAGES = 4
TWICE = 0.2
"""how often the build after a killed one is killed too"""

ABANDONED_SECONDS = 60.0

Ran = set[tuple[str, str]]


@dataclass
class Round:
    """ended: the process had ended before the kill. killed: victims hit, in order. before, after: actions that ran
    before the (last) kill and in the build after it. untold: had a result in the store, and no event any more."""

    number: int
    victim: str
    ended: bool = False
    killed: list[str] = field(default_factory=list)
    before: int = 0
    after: int = 0
    untold: int = 0
    wrong: list[str] = field(default_factory=list)


class Workspaces:
    """One that is killed and one that is not, edited alike."""

    def __init__(self, folder: Path, pick: random.Random, packages: int) -> None:
        self.folder, self.pick, self.packages = folder, pick, packages
        self.hit, self.calm = Tiny(folder / "hit"), Tiny(folder / "calm")
        for package in range(packages):
            for one in (self.hit, self.calm):
                one.write(f"q{package}/BUILD.toml", one.read("p/BUILD.toml").replace("//p:", f"//q{package}:"))
        self.edit(everything=True)

    def edit(self, everything: bool = False) -> None:
        """Change some sources, a parameter or a stage, the same in both."""
        pick = self.pick
        for package in ["p", *(f"q{number}" for number in range(self.packages))]:
            for name in ("a.txt", "b.txt"):
                if everything or pick.random() < 0.4:
                    # The package's name, so that no two actions have one key, of which either may be the one that runs.
                    words = f"{package} {pick.choice(WORDS)} {pick.choice(WORDS)}"
                    self._write(f"{package}/{name}", f"# {pick.random()}\n{words}")
            if pick.random() < 0.2:
                text = self.hit.read(f"{package}/BUILD.toml").split("\nmost = ")[0]
                self._write(f"{package}/BUILD.toml", f"{text}\nmost = {pick.randint(30, 99)}\n")
        if pick.random() < 0.15:
            line = f"# {pick.random()}\n"
            self._write("rules/shout_stages.py", line + self.hit.read("rules/shout_stages.py"))

    def _write(self, name: str, text: str) -> None:
        for one in (self.hit, self.calm):
            one.write(name, text)


WORDS = ("hello", "world", "tile", "scale", "tensor", "graph", "odd", "even", "kernel", "axis")


def read_events(path: Path) -> list[dict]:
    """Whole lines only: the last may have been cut short."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def statuses(events: list[dict]) -> dict[tuple[str, str], str]:
    return {(e["label"], e["action"]): e["status"] for e in events if e["event"] == "action_finished"}


def executed(events: list[dict]) -> Ran:
    return {id_ for id_, status in statuses(events).items() if status == "executed"}


def children(pid: int) -> list[int]:
    try:
        return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def strike(client: subprocess.Popen, victim: str) -> str:
    """Kill it, or the client where there is no such process (yet); who was hit."""
    zygotes = children(client.pid)
    workers = [worker for zygote in zygotes for worker in children(zygote)]
    chosen = {"client": [client.pid], "zygote": zygotes, "worker": workers[:1], "all": [client.pid, *zygotes, *workers]}
    pids = chosen[victim]
    for pid in pids or [client.pid]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return victim if pids else "client"


def killed_build(tiny: Tiny, victim: str, delay: float, events: Path) -> tuple[str, list[dict]]:
    """A build that is struck after `delay` seconds; who was hit ("" where it had ended), and what it had told."""
    events.unlink(missing_ok=True)
    client = tiny.start("build", "//...", "--events", str(events), "--jobs", "2")
    try:
        client.wait(delay)
        hit = ""
    except subprocess.TimeoutExpired:
        hit = strike(client, victim)
    client.communicate(timeout=60)
    return hit, read_events(events)


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".axbuild" not in path.parts
    }


def play(spaces: Workspaces, number: int) -> Round:
    pick, hit, calm = spaces.pick, spaces.hit, spaces.calm
    round_ = Round(number, pick.choice(VICTIMS))
    spaces.edit()
    began = time.monotonic()
    undisturbed = calm.run("build", "//...", "--jobs", "2")
    seconds = time.monotonic() - began
    need = executed(undisturbed.events)
    log, finished, told = spaces.folder / "killed.jsonl", set[tuple[str, str]](), dict[tuple[str, str], str]()
    for attempt in range(2 if pick.random() < TWICE else 1):
        victim = round_.victim if not attempt else pick.choice(VICTIMS)
        who, events = killed_build(hit, victim, pick.uniform(0.0, seconds), log)
        round_.killed += [who] if who else []
        twice = finished & executed(events)
        if twice:
            round_.wrong.append(f"ran although it had finished: {sorted(twice)}")
        finished |= executed(events)
        told |= statuses(events)
        if not who:
            break
    round_.ended = not round_.killed
    checked = hit.run("cache", "verify")
    if checked.code:
        round_.wrong.append(f"the store is damaged: {checked.out}{checked.err}")
    after = hit.run("build", "//...", "--jobs", "2")
    compare(round_, need, finished, told, after, undisturbed)
    if files(hit.root / "axbuild-out") != files(calm.root / "axbuild-out"):
        round_.wrong.append("the outputs are not those of the undisturbed build")
    left = [*(hit.root / "cache/tmp").iterdir(), *(hit.root / "cache/leases").iterdir()]
    # An output on its way counts as abandoned once it is some seconds old.
    on_their_way = (hit.root / "axbuild-out/.axbuild").glob("new-*")
    left += [path for path in on_their_way if path.stat().st_mtime < time.time() - ABANDONED_SECONDS]
    if left:
        round_.wrong.append(f"left lying about: {', '.join(str(path.relative_to(hit.root)) for path in left)}")
    return round_


def compare(round_: Round, need: Ran, finished: Ran, told: dict, after, undisturbed) -> None:
    """What ran after the kill against what an undisturbed build ran and the log does not say finished."""
    ran, ended = executed(after.events), told | statuses(after.events)
    round_.before, round_.after = len(finished), len(ran)
    if after.code != undisturbed.code:
        round_.wrong.append(f"exit code {after.code}, undisturbed {undisturbed.code}: {after.err}")
    if ran & finished:
        round_.wrong.append(f"ran again: {sorted(ran & finished)}")
    if ran - need:
        round_.wrong.append(f"ran although nothing asked for it: {sorted(ran - need)}")
    missing = need - finished - ran
    # A result that was in the store when the kill came, and whose event was not yet in the log.
    round_.untold = sum(ended.get(id_) in ("cached", "up_to_date") for id_ in missing)
    if round_.untold < len(missing):
        became = {id_: ended.get(id_) for id_ in sorted(missing)}
        round_.wrong.append(f"did not run: {became}; said {after.out}{after.err}")


def run(rounds: int, seed: int, folder: Path, packages: int = PACKAGES, say=lambda round_: None) -> list[Round]:
    """All rounds, in workspaces below `folder` of so many packages and one."""
    spaces = Workspaces(folder, random.Random(seed), packages)
    spaces.calm.run("build", "//...", "--jobs", "2")
    spaces.hit.run("build", "//...", "--jobs", "2")
    played = []
    for number in range(rounds):
        played.append(play(spaces, number))
        say(played[-1])
    return played


def table(played: list[Round]) -> str:
    form = "{:<8} {:>6} {:>16} {:>10} {:>15} {:>6}"
    lines = [form.format("killed", "rounds", "finished before", "ran after", "stored, untold", "wrong")]
    for victim in (*VICTIMS, "twice", "too late"):
        chosen = [one for one in played if _kind(one) == victim]
        sums = Counter[str]()
        for one in chosen:
            sums.update(before=one.before, after=one.after, untold=one.untold, wrong=bool(one.wrong))
        cells = (sums["before"], sums["after"], sums["untold"], sums["wrong"])
        lines.append(form.format(victim, len(chosen), *cells))
    return "\n".join(lines)


def _kind(one: Round) -> str:
    return "too late" if one.ended else "twice" if len(one.killed) > 1 else one.killed[0]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()

    def say(one: Round) -> None:
        for what in one.wrong:
            print(f"round {one.number} ({_kind(one)}): {what}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        played = run(flags.rounds, flags.seed, Path(folder), say=say)
        seconds = time.monotonic() - began
    wrong = sum(bool(one.wrong) for one in played)
    print(table(played))
    print(f"{len(played)} rounds in {seconds:.0f} s, seed {flags.seed}: {wrong or 'none'} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
