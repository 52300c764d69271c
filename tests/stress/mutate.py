"""Mutates what comes from outside and looks at what is said: no trace of Python's, no hang, no file outside.

    python tests/stress/mutate.py --rounds 3000 --seed 1

Of each kind (.npy, .zip, .tar, BUILD.toml, rows of results) so many mutants: bytes flipped, cut off, doubled, swapped,
or put in from another place. Each is read where axbuild reads it. Exit code 1 where one raised what is no error of
axbuild's, took longer than ten seconds, or made a file outside its folder.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import signal
import sys
import tarfile
import tempfile
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from axbuild.errors import AxError
from axbuild.store.faults import RefusedRow
from axbuild.store.result import ActionResult, result_of
from axbuild.store.rows import value_of
from axbuild.toolchain.data.archives import members
from axbuild.toolchain.data.arrays import decode_array
from axbuild.workspace.disk import MemoryDisk
from axbuild.workspace.ignore import Ignore
from axbuild.workspace.packages import Packages
from axbuild.workspace.rulepack import load_rules

SECONDS = 10
SHAPE = (1, 3, 4, 4)
BUILD = b"""
[[float_model]]
name = "float"
src = "net.onnx"
input_shapes = { x = [1, 3, 4, 4] }

[[calibration_set]]
name = "calib"
src = "set.tar"
size = 4
mean = [1.5, 2.5, 3.5]

[[quant_model]]
name = "quant"
model = ":float"
calibration = { x = ":calib" }
layer_configs = [{ op_types = ["Add"], data_type = "U16" }]
"""


class TookTooLong(Exception):
    """A mutant over which the reader has brooded for longer than it may."""


def array() -> bytes:
    out = io.BytesIO()
    np.save(out, np.arange(48, dtype=np.float32).reshape(SHAPE))
    return out.getvalue()


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(3):
            made.writestr(f"deep/{number}.npy", array())
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        for number in range(3):
            info = tarfile.TarInfo(f"deep/{number}{'é' * 60}.npy")
            info.size = len(array())
            made.addfile(info, io.BytesIO(array()))
    return out.getvalue()


def row() -> bytes:
    key = {
        "code": "c" * 64,
        "inputs": {"a": "1" * 64},
        "params": {},
        "platform": None,
        "stage": "s:f",
        "tools": {"n": "1"},
    }
    result = ActionResult(key, {"o": "2" * 64, "tree/": {"a/b": "3" * 64}}, ({"code": "AX1", "sentence": "s"},), 1.5)
    return json.dumps(["result/x", vars(result)]).encode()


def mutated(chance: random.Random, data: bytes) -> bytes:
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        at, size = chance.randrange(len(found) + 1), chance.choice((1, 1, 4, 16, 100))
        match chance.randrange(6):
            case 0 if at < len(found):
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                found[at : at + size] = chance.randbytes(size)
            case 2:
                del found[at : at + size]
            case 3:
                found[at:at] = found[at : at + size]
            case 4:
                source = chance.randrange(len(found) + 1)
                found[at:at] = found[source : source + size]
            case 5:
                found[at:at] = chance.choice(
                    (b"../", b"\0", b"/etc/", b"\xff" * 8, b"NaN", b"1e999", b'"', b"[" * 5000)
                )
    return bytes(found)


def read_array(data: bytes, _folder: Path) -> None:
    decode_array(data, "a.npy", SHAPE, "float32", "x")


def reader_of_archives(suffix: str) -> Callable[[bytes, Path], None]:
    def read(data: bytes, folder: Path) -> None:
        (folder / f"set{suffix}").write_bytes(data)
        with members(folder) as found:
            for member in found:
                member.read()

    return read


def reader_of_build_files() -> Callable[[bytes, Path], None]:
    rules = load_rules(None).rules

    def read(data: bytes, _folder: Path) -> None:
        disk = MemoryDisk({"m/BUILD.toml": data, "m/net.onnx": b"", "m/set.tar": b""})
        Packages(disk, Ignore(), rules, {}).targets("m")

    return read


def read_row(data: bytes, _folder: Path) -> None:
    # As the database would: what is no UTF-8 never comes so far.
    with suppress(RefusedRow):
        result_of(value_of("result/x", data.decode("utf-8", "surrogateescape")))


KINDS: dict[str, tuple[Callable[[], bytes], Callable[[], Callable[[bytes, Path], None]]]] = {
    "npy": (array, lambda: read_array),
    "zip": (zipped, lambda: reader_of_archives(".zip")),
    "tar": (tarred, lambda: reader_of_archives(".tar")),
    "BUILD.toml": (lambda: BUILD, reader_of_build_files),
    "result row": (row, lambda: read_row),
}


@contextmanager
def limited() -> Iterator[None]:
    def late(*_: Any) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(kind: str, rounds: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """How the mutants of a kind ended, and what was wrong."""
    make, reader = KINDS[kind]
    whole, read, chance = make(), reader(), random.Random(f"{kind} {seed}")
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    inside, canary = folder / "inside", folder / "canary"
    inside.mkdir(parents=True)
    canary.write_text("untouched")
    for number in range(rounds):
        mutant = mutated(chance, whole)
        try:
            with limited():
                read(mutant, inside)
            counts["read"] += 1
        except AxError as error:
            counts[error.code] += 1
        # Whatever else comes out of a reader is what this looks for.
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            wrong.append(
                f"{kind} mutant {number} of seed {seed}: {''.join(traceback.format_exception_only(error)).strip()}"
            )
        if {path.name for path in folder.iterdir()} != {"inside", "canary"} or canary.read_text() != "untouched":
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
            print("\n".join(wrong[:20]), end="\n" if wrong else "")
            bad += len(wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
