"""Mutates what comes from outside and looks at what is said: no trace of Python's, no hang, no file outside, nothing
wrong that passes as right.

    python tests/stress/mutate.py --rounds 3000 --seed 1

Of each kind (`foreign.py` has them) so many mutants: bytes flipped, cut off, doubled, swapped, or put in from another
place. Each is read where axbuild reads it, in a process of its own. Exit code 1 where one ended it by anything but an
error of axbuild's about the user's bytes, took longer than ten seconds, gave a wrong answer, or made a file outside its
folder.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import select
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from foreign import KINDS, Reader

from axbuild.codes import exit_code_of
from axbuild.errors import AxError

SECONDS = 10
MEMORY_BYTES = 8 << 30
OWN_DEFECT = 3
"""exit code of what is no fault of the user's"""


def outcome(read: Reader, data: bytes, folder: Path, seconds: float = SECONDS) -> tuple[str, str]:
    """How the reading of a mutant ended: (a word for the table, what was wrong). folder: empty again afterwards.

    A child reads it, since native code can neither be interrupted nor outlived.
    """
    folder.mkdir()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        os.write(writing, "\0".join(_read(read, data, folder)).encode()[: select.PIPE_BUF])
        os._exit(0)
    os.close(writing)
    in_time = bool(select.select([reading], [], [], seconds)[0])
    said = os.read(reading, select.PIPE_BUF).decode(errors="replace") if in_time else ""
    if not said:
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    shutil.rmtree(folder)
    if not in_time:
        return "too late", f"took longer than {seconds} s"
    if not said:
        return "died", f"died of signal {os.WTERMSIG(status)}"
    word, _, wrong = said.partition("\0")
    return word, wrong


def _read(read: Reader, data: bytes, folder: Path) -> tuple[str, str]:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    try:
        read(data, folder)
    except AxError as error:
        return error.code, str(error) if exit_code_of(error.code) == OWN_DEFECT else ""
    # Whatever else comes out of a reader is what this looks for.
    except BaseException as error:
        return "wrong", "".join(traceback.format_exception(error)[-3:]).strip()
    return "read", ""


def run(kind: str, rounds: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """How the mutants of a kind ended, and what was wrong."""
    whole, read, chance = KINDS[kind].make(), KINDS[kind].reader(), random.Random(f"{kind} {seed}")
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    folder.mkdir(parents=True)
    canary = folder / "canary"
    canary.write_text("untouched")
    for number in range(rounds):
        word, fault = outcome(read, KINDS[kind].mutant(chance, whole), folder / "inside")
        counts[word] += 1
        if fault:
            wrong.append(f"{kind} mutant {number} of seed {seed}: {fault}")
        if [*folder.iterdir()] != [canary] or canary.read_text() != "untouched":
            wrong.append(f"{kind} mutant {number} of seed {seed} wrote outside its folder")
            break
    return counts, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300, help="mutants of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    flags = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for kind in flags.kinds:
            counts, wrong = run(kind, flags.rounds, flags.seed, Path(folder, kind))
            print(f"{kind}: {', '.join(f'{name} {count}' for name, count in counts.most_common())}; {len(wrong)} wrong")
            print("\n".join(wrong[:20]), end="\n" if wrong else "", flush=True)
            bad += len(wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
