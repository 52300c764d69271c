"""A full or read-only disk: a clear error, and a store that is whole afterwards.

The limit on a file's size is the full disk that every user may have anywhere; its errno is told like ENOSPC.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

from axbuild.store.store import Store

PRELUDE = """
import ctypes, resource, signal, sys
from pathlib import Path
from axbuild.errors import AxError
from axbuild.store.store import Store
from axbuild.store.result import ActionResult
from axbuild.store.records import write_record
from axbuild.codes import exit_code_of
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = Path(sys.argv[1])
KEY = {"code": "c" * 64, "stage": "s", "inputs": {}, "params": {}, "tools": {}, "platform": None}
def full(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
def mortal():
    "Give up what lets root write where it may not."
    ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
"""


def told(folder, body):
    """What a process with a full disk says: its exit code as the command line would have it, and the sentence."""
    script = PRELUDE + "try:\n" + textwrap.indent(textwrap.dedent(body), "    ")
    script += "except AxError as error:\n    print(error.code, error)\n    sys.exit(exit_code_of(error.code))\n"
    done = subprocess.run([sys.executable, "-c", script, str(folder)], capture_output=True, text=True, timeout=60)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def blobs_of(store):
    return [path.name for path in (store.directory / "cas").rglob("*") if len(path.name) == 64]


def test_a_blob_too_large_for_the_disk_is_not_left_half_written(tmp_path):
    code, said = told(
        tmp_path,
        """
        with Store(folder / "cache") as store:
            small = store.blobs.add_bytes(b"small")
            full(4096)
            store.blobs.add_bytes(bytes(100_000))
        """,
    )
    assert code == 3
    assert "no space left while writing to the cache" in said
    assert "Traceback" not in said
    with Store(tmp_path / "cache") as store:
        [blob] = blobs_of(store)
        assert store.blobs.read_bytes(blob) == b"small"
        assert list((store.directory / "tmp").iterdir()) == [store.scratch().parent]


def test_copying_in_and_out_of_a_full_disk_leaves_nothing(tmp_path):
    (tmp_path / "large").write_bytes(bytes(100_000))
    code, said = told(
        tmp_path,
        """
        with Store(folder / "cache") as store:
            digest = store.blobs.add_file(folder / "large", move=False)
            full(4096)
            try:
                store.blobs.materialise(digest, folder / "out")
            except AxError as error:
                print("first", error.code)
            store.blobs.add_file(folder / "large", move=False)
        """,
    )
    assert code == 3
    assert said.startswith("first AX901")
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "large").stat().st_size == 100_000
    with Store(tmp_path / "cache") as store:
        [blob] = blobs_of(store)
        assert store.blobs.verify(blob)


def test_a_result_that_finds_no_room_leaves_the_others(tmp_path):
    code, said = told(
        tmp_path,
        """
        with Store(folder / "cache") as store:
            store.results.put("a" * 64, ActionResult(KEY, {"x": "b" * 64}), None)
            full(32768)
            for number in range(100):
                store.results.put(f"{number:064}", ActionResult({"filler": "x" * 5000}, {}), None)
        """,
    )
    assert code == 3, said
    with Store(tmp_path / "cache") as store:
        assert store.results.get("a" * 64).outputs == {"x": "b" * 64}
        assert store.reports == []


def test_a_state_file_that_finds_no_room_keeps_the_old_one(tmp_path):
    code, _ = told(
        tmp_path,
        """
        write_record(folder / "state", 1, {"old": True})
        full(4096)
        write_record(folder / "state", 1, {"new": "x" * 100_000})
        """,
    )
    assert code == 3
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_read_only_cache_says_so(tmp_path):
    (tmp_path / "cache").mkdir(mode=0o555)
    code, said = told(tmp_path, 'mortal()\nStore(folder / "cache")\n')
    assert code == 3
    assert "cannot be written: Permission denied" in said


def test_what_a_read_only_cache_would_lose_can_be_asked(tmp_path):
    folders = ["tmp", "locks", "leases"]
    with Store(tmp_path / "cache") as store:
        store.blobs.add_bytes(b"x")
    for name in folders:
        (tmp_path / "cache" / name).chmod(0o555)
    said = told(
        tmp_path,
        """
        from axbuild.store.gc import Limits, collect
        mortal()
        with Store(folder / "cache", only_read=True) as store:
            plan = collect(store, Limits(None, 0.0), dry_run=True)
            print(plan.count, [why for _, why in plan.blobs])
        """,
    )
    for name in folders:
        (tmp_path / "cache" / name).chmod(0o755)
    assert said == (0, "1 ['not used for too long']\n")


def test_blobs_that_became_read_only_say_so(tmp_path):
    code, said = told(
        tmp_path,
        """
        with Store(folder / "cache") as store:
            mortal()
            (folder / "cache" / "cas").chmod(0o555)
            store.blobs.add_bytes(b"x")
        """,
    )
    (tmp_path / "cache" / "cas").chmod(0o755)
    assert code == 3
    assert "cannot be written: Permission denied" in said


def test_results_that_became_read_only_say_so(tmp_path):
    code, said = told(
        tmp_path,
        """
        with Store(folder / "cache") as store:
            mortal()
            (folder / "cache" / "results").mkdir(mode=0o555)
            store.results.put("a" * 64, ActionResult({}, {}), None)
        """,
    )
    assert code == 3
    assert "cannot be written" in said


def test_a_cache_folder_below_a_file_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    code, said = told(tmp_path, 'Store(folder / "file" / "cache")\n')
    assert code == 3
    assert "AX911" in said
    assert "/file stands where the cache keeps a file or folder of its own: it is no folder" in said
