"""Locks, leases and scratch folders, with real processes that really die."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from axbuild.store.locks import FileLock
from axbuild.store.store import Store

KEY = "ab" * 32
HOLDER = """
import sys
from pathlib import Path
from axbuild.store.store import Store
store = Store(Path(sys.argv[1]))
lock = store.lock(sys.argv[2])
lock.acquire()
(store.scratch() / "half").write_text("written")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds KEY and has something under way, until it is killed or told to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "cache"), KEY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_lock_is_exclusive_within_a_process_too(tmp_path):
    one, two = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert one.acquire(block=False)
    assert not two.acquire(block=False)
    one.release()
    assert two.acquire(block=False)
    two.release()
    assert list(tmp_path.iterdir()) == []


def test_another_process_is_kept_out_until_it_dies(tmp_path, holder):
    with Store(tmp_path / "cache") as store:
        assert not store.lock(KEY).acquire(block=False)
        assert store.lock("cd" * 32).acquire(block=False)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert store.lock(KEY).acquire(block=False)


def test_waiting_ends_when_the_holder_is_killed(tmp_path, holder):
    with Store(tmp_path / "cache") as store:
        threading.Timer(0.2, holder.kill).start()
        begin = time.monotonic()
        with store.lock(KEY):
            assert 0.1 < time.monotonic() - begin < 10


def test_many_contenders_hold_it_one_at_a_time(tmp_path):
    (tmp_path / "count").write_text("0")

    def contend():
        for _ in range(25):
            with FileLock(tmp_path / "lock"):
                before = int((tmp_path / "count").read_text())
                time.sleep(0.0002)
                (tmp_path / "count").write_text(str(before + 1))

    threads = [threading.Thread(target=contend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "count").read_text() == "100"


def test_what_a_killed_build_had_under_way_is_cleared_by_the_next(tmp_path, holder):
    with Store(tmp_path / "cache"):
        assert len(list((tmp_path / "cache" / "tmp").iterdir())) == 2
        assert len(list((tmp_path / "cache").rglob("half"))) == 1
    holder.kill()
    holder.wait()
    with Store(tmp_path / "cache") as store:
        assert list((tmp_path / "cache" / "tmp").iterdir()) == [store.scratch().parent]
    assert list((tmp_path / "cache" / "tmp").iterdir()) == []
    assert list((tmp_path / "cache" / "leases").iterdir()) == []


def test_a_store_gives_scratch_folders_of_its_own_and_takes_them_back(tmp_path):
    store = Store(tmp_path / "cache")
    one, two = store.scratch("x"), store.scratch("x")
    assert one != two
    assert one.is_dir()
    (one / "deep").mkdir()
    (one / "deep" / "file").write_text("x")
    assert one.stat().st_dev == (tmp_path / "cache" / "cas").stat().st_dev
    store.close()
    assert not one.exists()
    store.close()


def test_each_work_tree_has_its_own_state(tmp_path):
    with Store(tmp_path / "cache") as store:
        one, two = store.workspace(tmp_path / "a"), store.workspace(tmp_path / "b")
        assert one.id != two.id
        assert one.folder == tmp_path / "cache" / "workspaces" / one.id
        assert one.folder.is_dir()
        assert store.workspace(tmp_path / "a") == one


def test_a_lock_needs_a_key(tmp_path):
    with Store(tmp_path / "cache") as store, pytest.raises(ValueError, match="not a key"):
        store.lock("../results")
