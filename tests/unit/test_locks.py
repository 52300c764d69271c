"""Locks between processes."""

from __future__ import annotations

import os

import pytest

from axbuild.store.locks import FileLock


@pytest.mark.parametrize("moment", ["unlink", "close"])
def test_a_release_that_was_interrupted_is_finished_by_the_next(tmp_path, monkeypatch, moment):
    lock = FileLock(tmp_path / "lock")
    assert lock.acquire()
    done = getattr(os, moment)

    def interrupted(*arguments, **more):
        if moment == "close":
            done(*arguments, **more)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, moment, interrupted)
        with pytest.raises(KeyboardInterrupt):
            lock.release()
    lock.release()
    assert not lock.held
    again = FileLock(tmp_path / "lock")
    assert again.acquire(block=False)
    again.release()
