"""A cache whose uses are dated by hand."""

from __future__ import annotations

import os
import time

from axbuild.store import gc
from axbuild.store.digests import digest_of_value
from axbuild.store.gc import DAY, Limits
from axbuild.store.result import ActionResult
from axbuild.store.store import Store

CODE = {"./b.py": "5" * 64}
CODE_DIGEST = digest_of_value(CODE)


def key_record(**parts):
    """A whole key record, of which `parts` matter."""
    return {"code": CODE_DIGEST, "stage": "s:f", "inputs": {}, "params": {}, "tools": {}, "platform": None} | parts


def now() -> float:
    """Real seconds, also where a test has set `time.time` to another clock."""
    return time.time_ns() / 1e9


class Cache:
    """A cache in which uses are dated by hand."""

    def __init__(self, folder):
        self.folder = folder
        self.store = Store(folder)
        self.root = folder.parent / "ws"
        (self.root).mkdir()
        (self.root / "axbuild.toml").write_text("")
        self.state = self.store.workspace(self.root)
        self.number = 0

    def reopen(self):
        """As the next process: nothing counts as used by this one."""
        self.store.close()
        self.store = Store(self.folder)

    def result(self, text, *, days=0.0, size=1000, label="//a:b", intermediate=False, last=True):
        """An action with one output of so many bytes, used so many days ago; (key, digest)."""
        digest = self.store.blobs.add_bytes(text.encode().ljust(size, b"."))
        self.number += 1
        key = f"{self.number:064x}"
        record = key_record(stage=f"./{label[-1]}.py:f")
        self.store.results.put(key, ActionResult(record, {"o": digest}, intermediate=intermediate), CODE)
        if last:
            self.store.results.set_last(self.state.id, label, text, key)
        os.utime(self.store.blobs.path(digest), (now() - days * DAY, now() - days * DAY))
        return key, digest

    def snapshot(self, name, keys, *, days=0.0):
        file = self.root / name
        file.write_text("the snapshot")
        path = self.state.folder / "snapshots" / f"{name}.keys"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([gc.KEYS_MAGIC, str(file), *keys, ""]))
        os.utime(path, (now() - days * DAY, now() - days * DAY))
        return path

    def left(self):
        return {path.name for path in (self.folder / "cas").glob("*/*") if len(path.name) == 64}


def limits(size=None, days=None):
    return Limits(size, None if days is None else days * DAY)
