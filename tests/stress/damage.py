"""Damages files of a cache at random, and checks that no build ever gives a wrong output or a trace.

    python tests/stress/damage.py --rounds 100 --seed 1

Each round builds a workspace, flips bits of, cuts, deletes, overwrites, swaps or sets back to an older version some
files of its cache and of its own bookkeeping, and builds again: without an edit, and after one. Outputs must be those
of a second workspace whose files nobody touches. Exit code 1 where they are not, or where a command ends in a trace.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from kill import Workspaces, files

from tiny_workspace import Tiny

DAMAGES = ("flip", "cut", "delete", "overwrite", "swap", "set back")
GRAPH = ".graph"
"""of the graph beside a snapshot"""
ASKED = (("why", "//p:both"), ("builds",), ("cache", "stats"), ("cache", "gc", "--dry_run"), ("cache", "verify"))


def candidates(tiny: Tiny) -> list[Path]:
    """Every file of the cache and of our own beside the outputs; outputs too, which anybody may edit."""
    return sorted(path for top in ("cache", "axbuild-out") for path in (tiny.root / top).rglob("*") if path.is_file())


def kind(tiny: Tiny, path: Path) -> str:
    parts = path.relative_to(tiny.root).parts
    if path.suffix == GRAPH:
        return "stored graph"
    if parts[0] == "axbuild-out":
        return "bookkeeping of outputs" if parts[1] == ".axbuild" else "output"
    return (
        "blob" if parts[1] == "cas" and len(path.name) == 64 else path.name if parts[1] != "workspaces" else parts[-1]
    )


def damage(pick: random.Random, path: Path, like: list[Path], older: Path, how: str) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    match how:
        case "flip":
            for _ in range(pick.randint(1, 4) if data else 0):
                data[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
            path.write_bytes(data)
        case "cut":
            path.write_bytes(data[: pick.randrange(len(data) + 1)])
        case "delete":
            path.unlink()
        case "overwrite":
            path.write_bytes(pick.randbytes(pick.choice((0, 1, 100, 5000))))
        case "swap":
            other = pick.choice(like)
            other.chmod(0o644)
            path.write_bytes(other.read_bytes())
        case "set back" if older.is_file():
            shutil.copyfile(older, path)


def run(rounds: int, seed: int, folder: Path, say=lambda line: None) -> tuple[Counter, int]:
    """How often each kind of damage was done, and how many rounds went wrong."""
    pick = random.Random(seed)
    spaces = Workspaces(folder, pick, 1)
    hit, calm, before = spaces.hit, spaces.calm, folder / "before"
    done, wrong = Counter[str](), 0
    for number in range(rounds):
        hit.run("build", "//...")
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(hit.root, before)
        spaces.edit()
        hit.run("build", "//...")
        calm.run("build", "//...")
        said = []
        paths = pick.sample(candidates(hit), pick.randint(1, 6))
        if pick.random() < 0.3:  # which only the build after the next edit reads
            paths = [path for path in candidates(hit) if path.suffix == GRAPH]
        for path in paths:
            how = pick.choice(DAMAGES)
            like = [one for one in candidates(hit) if one.suffix == path.suffix and one.parent.name == path.parent.name]
            damage(pick, path, like or [path], before / path.relative_to(hit.root), how)
            done[how] += 1
            said.append(f"{how} {kind(hit, path)}")
        faults = check(hit, calm, {"_AXBUILD_NO_SNAPSHOT": "1"} if pick.random() < 0.5 else {})
        spaces.edit()
        calm.run("build", "//...")
        faults += check(hit, calm, {})
        for words in ASKED:
            told = hit.run(*words)
            faults += [f"{' '.join(words)}: {told.err}"] if "Traceback" in told.err or "AX900" in told.err else []
        repaired = hit.run("cache", "verify", "--repair")
        faults += [f"repair: {repaired.err}"] if repaired.code else []
        for fault in faults:
            say(f"round {number} ({', '.join(said)}): {fault}")
        wrong += bool(faults)
    return done, wrong


def check(hit: Tiny, calm: Tiny, environment: dict[str, str]) -> list[str]:
    built = hit.run("build", "//...", **environment)
    faults = []
    if built.code not in (0, 1) or "Traceback" in built.err or "AX900" in built.err:
        faults.append(f"exit code {built.code}: {built.err}")
    if files(hit.root / "axbuild-out") != files(calm.root / "axbuild-out"):
        faults.append(f"the outputs are wrong: {built.out}{built.err}")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        done, wrong = run(flags.rounds, flags.seed, Path(folder), lambda line: print(line, flush=True))
        seconds = time.monotonic() - began
    print(", ".join(f"{how} {number}" for how, number in done.items()))
    print(f"{flags.rounds} rounds in {seconds:.0f} s, seed {flags.seed}: {wrong or 'none'} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
