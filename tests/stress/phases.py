"""Kills a build at each of its phases, and writes down what is left and what the next build does.

    python tests/stress/phases.py --write     docs/reference/kills.md
    python tests/stress/phases.py --check     exit code 1 where the page says something else

No phase is guessed by the clock: a `sitecustomize` module, which only the client imports, adds an audit hook that
kills the process with SIGKILL when it is about to open, rename or remove a certain file for the n-th time.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from kill import executed, files, read_events, statuses, strike

from tiny_workspace import Tiny

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "docs" / "reference" / "kills.md"
TARGETS = ("//p:both", "//p:halves")

HOOK = """
import os, re, signal, sys
event, pattern, left = os.environ["KILL_EVENT"], re.compile(os.environ["KILL_PATH"]), [int(os.environ["KILL_COUNT"])]

def hook(name, arguments):
    if name != event:
        return
    paths = arguments[:2] if name == "os.rename" else arguments[:1]
    if any(isinstance(path, int) for path in paths):
        return
    if pattern.search(" -> ".join(map(os.fsdecode, paths))):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
"""

RULE = '''
from axbuild.workspace.providers import Files
from axbuild.workspace.rule import Label, Stage, rule

HALVE = Stage("./halve_stages.py:halve", outputs=("first", "second"))


@rule
class halves:
    """A text in two parts."""

    of = Label("The text.", provides=Files, required=True)

    def actions(self, t, plan):
        done = plan.run(HALVE, text=t.of.files)
        plan.output("first", done["first"])
        plan.output("second", done["second"])
'''
STAGE = """
from pathlib import Path


def halve(text: Path, out: Path) -> None:
    words = text.read_text()
    (out / "first").write_text(words[: len(words) // 2] + "1")
    (out / "second").write_text(words[len(words) // 2 :] + "2")
"""


@dataclass(frozen=True)
class Phase:
    """event, path, count: the process dies before the count-th time that the event happens to such a path.

    victim: who dies instead while the stage `shout` sleeps. full: an earlier build has filled the cache.
    """

    name: str
    event: str = ""
    path: str = ""
    count: int = 1
    victim: str = ""
    full: bool = False


PHASES = (
    Phase("reading BUILD files", "open", r"/p/BUILD\.toml$"),
    Phase("hashing sources", "open", r"/p/a\.txt$"),
    Phase("starting the record of the build", "open", r"/builds/\d+\.jsonl$"),
    Phase("filling an action's scratch folder", "open", r"/scratch-\d+/in/"),
    Phase("a stage running; its own process is killed", victim="worker"),
    Phase("a stage running; the zygote is killed, and what it ran runs once more", victim="zygote"),
    Phase("a stage running; the client is killed", victim="client"),
    Phase("storing two outputs: none is a blob yet", "os.rename", "/out/first -> .*/cas/"),
    Phase("storing two outputs: one is a blob", "os.rename", "/out/second -> .*/cas/"),
    Phase("all outputs are blobs, the result is not stored", "open", "/fingerprints$"),
    Phase("the result is stored, nothing after it", "os.scandir", r"/scratch-\d+$"),
    Phase("publishing outputs: none is in place", "os.rename", "-> .*/axbuild-out/p/", 1),
    Phase("publishing outputs: one is in place", "os.rename", "-> .*/axbuild-out/p/", 2),
    Phase("publishing outputs: all, but not their list", "os.rename", r"-> .*/\.axbuild/p/halves\.json$"),
    Phase("writing the stat cache", "os.rename", r"/stat\.msgpack$"),
    Phase("writing the code cache", "os.rename", r"/code\.msgpack$"),
    Phase("writing the snapshot's list of keys", "os.rename", r"\.keys$"),
    Phase("writing the snapshot's graph", "os.rename", r"snapshots/[0-9a-f]+\.graph$"),
    Phase("writing the snapshot", "os.rename", r"snapshots/[0-9a-f]+$"),
    Phase("collecting: before the first file goes", "os.remove", "/cas/../[0-9a-f]{64}$", 1, full=True),
    Phase("collecting: some files are gone", "os.remove", "/cas/../[0-9a-f]{64}$", 3, full=True),
)


@dataclass(frozen=True)
class Outcome:
    """left, still: kinds of files left by the kill, and by the build after it. finished: stages whose end the killed
    build had told. ran: stages of the next build. again: actions among them that had finished.

    sound: the store verified right after the kill. same: outputs after the next build are as if nothing had happened.
    """

    phase: Phase
    left: tuple[str, ...]
    still: tuple[str, ...]
    finished: tuple[str, ...]
    ran: tuple[str, ...]
    again: tuple[str, ...]
    sound: bool
    same: bool

    @property
    def colour(self) -> str:
        if self.again or not self.sound or not self.same:
            return "🔴"
        return "🟢" if not self.left else "🟡" if not self.still else "🟠"


LEFTOVERS = (
    ("scratch folder", "cache/tmp/*"),
    ("lease", "cache/leases/*"),
    ("lock of an action", "cache/locks/" + "[0-9a-f]" * 4 + "*"),
    ("lock of the collection", "cache/locks/collect"),
    ("journal of the database", "cache/results/*-wal"),
    ("half-written state file", "cache/workspaces/*/.*"),
    ("half-written list of keys", "cache/workspaces/*/snapshots/.*"),
    ("half-written snapshot", "axbuild-out/.axbuild/.snapshots/.*"),
    ("output on its way", "axbuild-out/.axbuild/new-*"),
)


def workspace(root: Path) -> Tiny:
    tiny = Tiny(root)
    tiny.write("rules/halves.py", RULE)
    tiny.write("rules/halve_stages.py", STAGE)
    tiny.edit("p/BUILD.toml", "[[letters]]", '[[halves]]\nname = "halves"\nof = ":loud"\n\n[[letters]]')
    return tiny


def outcome(phase: Phase, folder: Path, calm: dict[str, bytes]) -> Outcome:
    """Play one phase in a fresh workspace; `calm`: the outputs of an undisturbed build."""
    hook = folder / "hook"
    hook.mkdir(parents=True)
    (hook / "sitecustomize.py").write_text(HOOK)
    tiny, log = workspace(folder / "ws"), folder / "killed.jsonl"
    environment = {}
    if phase.full:
        for before, text in (("hello", "good day"), ("good day", "good night")):
            tiny.edit("p/a.txt", before, text)
            assert tiny.build(*TARGETS).code == 0
        tiny.edit("p/a.txt", "good night", "hello")
        environment["AXBUILD_CACHE_SIZE_GB"] = "1e-9"
    if phase.event:
        environment |= {"KILL_EVENT": phase.event, "KILL_PATH": phase.path, "KILL_COUNT": str(phase.count)}
        environment["PYTHONPATH"] = os.pathsep.join([str(hook), os.environ.get("PYTHONPATH", "")])
    else:
        tiny.edit("rules/shout_stages.py", "words = ", "import time; time.sleep(0.7); words = ")
    client = tiny.start("build", *TARGETS, "--jobs", "1", "--events", str(log), **environment)
    if phase.victim:
        strike_while_running(client, phase.victim, log)
    out, err = client.communicate(timeout=60)
    code = {"worker": 1, "zygote": 0}.get(phase.victim, -signal.SIGKILL)
    assert client.returncode == code, f"{phase.name}: {client.returncode}\n{out}{err}"
    left = leftovers(tiny.root)
    sound = tiny.run("cache", "verify").code == 0
    # What is left counts as abandoned once it is a few seconds old.
    for path in tiny.root.glob("axbuild-out/.axbuild/new-*"):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 60))
    finished = {id_ for id_, status in statuses(read_events(log)).items() if status == "executed"}
    after = tiny.build(*TARGETS, "--jobs", "1")
    assert after.code == 0, f"{phase.name}: {after.out}{after.err}"
    ran = executed(after.events)
    return Outcome(
        phase,
        left,
        leftovers(tiny.root),
        stages(finished),
        stages(ran),
        stages(ran & finished),
        sound,
        files(tiny.root / "axbuild-out") == calm,
    )


def strike_while_running(client: subprocess.Popen, victim: str, log: Path) -> None:
    end = time.monotonic() + 30
    while not any(e["event"] == "action_started" and e["stage"] == "shout" for e in read_events(log)):
        assert time.monotonic() < end, "shout does not start"
        time.sleep(0.02)
    time.sleep(0.1)
    assert strike(client, victim) == victim


def stages(ids: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(sorted(f"{label.removeprefix('//p:')} {action}" for label, action in ids))


def leftovers(root: Path) -> tuple[str, ...]:
    return tuple(name for name, pattern in LEFTOVERS if any(root.glob(pattern)))


def play(phases: Iterable[Phase] = PHASES) -> list[Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        calm = workspace(Path(folder) / "calm")
        done = calm.build(*TARGETS)
        assert done.code == 0, done.err
        outputs = files(calm.root / "axbuild-out")
        return [outcome(phase, Path(folder) / str(number), outputs) for number, phase in enumerate(phases)]


HEAD = """\
# What a kill leaves behind

Generated by `python tests/stress/phases.py --write`, which really kills a build of two targets (six actions) with
SIGKILL at each of these moments, checks the store, builds again, and compares the outputs with those of a build that
nobody disturbed.

| | |
| --- | --- |
| 🟢 | nothing is left |
| 🟡 | something is left; the next build clears it away |
| 🟠 | something small is left; a later collection clears it away |
| 🔴 | something that had finished was lost, or an output is wrong |

In every row the store verified right after the kill (`axbuild cache verify`), and no action that had finished ran
again.

| | killed while | left behind | had finished | the next build runs |
| --- | --- | --- | --- | --- |
"""


def render(outcomes: Iterable[Outcome]) -> str:
    rows = []
    for one in outcomes:
        left = ", ".join(one.left) or "nothing"
        if one.still:
            left += f" (after the next build: {', '.join(one.still)})"
        cells = (
            one.colour,
            one.phase.name,
            left,
            ", ".join(one.finished) or "nothing",
            ", ".join(one.ran) or "nothing",
        )
        rows.append(f"| {' | '.join(cells)} |\n")
    return HEAD + "".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    flags = parser.parse_args()
    text = render(play())
    if flags.write:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(text)
    elif flags.check:
        return 0 if PAGE.read_text() == text else 1
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
