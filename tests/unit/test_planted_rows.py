"""Rows of a cache that somebody else wrote: refused as a whole where one part of them does not fit."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict

import pytest

from axbuild.store.database import JsonDisk
from axbuild.store.result import ActionResult
from axbuild.store.rows import checksum
from axbuild.store.store import Store
from store_world import CODE, key_record

KEY, BLOB = "ab" * 32, "2" * 64
GOOD = asdict(ActionResult(key_record(), {"o": BLOB, "tree/": {"a/b": BLOB}}, ({"code": "AX1", "sentence": "s"},), 1.5))


def plant(cache, name, text):
    with sqlite3.connect(cache / "results" / "cache.db") as database:
        database.execute(
            "INSERT OR REPLACE INTO Cache (key, raw, mode, value, store_time) VALUES (?, 1, 1, ?, 0)",
            (name, checksum(text) + text),
        )
    database.close()


@pytest.fixture
def cache(tmp_path):
    with Store(tmp_path / "cache") as store:
        store.results.put("cd" * 32, ActionResult(key_record(), {"o": BLOB}), CODE)
    return tmp_path / "cache"


WRONG = [
    *({"outputs": {"tree/": {name: BLOB}}} for name in ("../x.py", "/etc/x", "a//b", "./a", "a/..", "a\0b", "n" * 256)),
    *({"outputs": {name: BLOB}} for name in ("../o", "/o", "", "a\\b", "\udcff")),
    {"outputs": {"tree/": {"a": BLOB, "a/b": BLOB}}},
    {"outputs": {"o": BLOB, "o/": {"a": BLOB}}},
    {"outputs": {"o": {"a": BLOB}}},
    {"outputs": {"tree/": BLOB}},
    {"outputs": {"o": "2" * 63}},
    {"outputs": {"o": ["2" * 64]}},
    {"outputs": {"o": 7}},
    {"outputs": [BLOB]},
    {"diagnostics": [{"code": "AX1"}]},
    {"diagnostics": [{"code": 1, "sentence": "s"}]},
    {"diagnostics": "text"},
    {"seconds": "1"},
    {"seconds": -1.0},
    {"seconds": True},
    {"peak_memory_bytes": 1.5},
    {"platform": {"machine": "x"}},
    {"intermediate": "yes"},
    {"key_record": 7},
    *(
        {"key_record": key_record(**part)}
        for part in ({"code": "x"}, {"stage": 1}, {"inputs": [1]}, {"inputs": {"a": 1}})
    ),
    *({"key_record": key_record(**part)} for part in ({"params": []}, {"tools": {"a": 1}}, {"platform": 1})),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: json.dumps(wrong)[:60])
def test_a_row_of_which_one_part_does_not_fit_is_refused_and_a_miss(cache, wrong):
    plant(cache, f"result/{KEY}", json.dumps([f"result/{KEY}", GOOD | wrong]))
    with Store(cache) as store:
        assert store.results.get(KEY) is None
        assert [code for code, _ in store.reports] == ["AX904"]
        assert store.results.get(KEY) is None
    assert len(store.reports) == 1  # the row is gone


def test_the_same_row_in_a_cache_to_read_from_is_refused_and_left_there(cache, tmp_path):
    plant(cache, f"result/{KEY}", json.dumps([f"result/{KEY}", GOOD | {"outputs": {"tree/": {"../x": BLOB}}}]))
    before = (cache / "results" / "cache.db").read_bytes()
    with Store(tmp_path / "ours", read_from=cache) as store:
        assert store.results.get(KEY) is None
        assert [code for code, _ in store.reports] == ["AX904"]
    assert (cache / "results" / "cache.db").read_bytes() == before


def test_a_whole_row_with_other_outputs_than_the_stage_declares_is_refused(cache):
    plant(cache, f"result/{KEY}", json.dumps([f"result/{KEY}", GOOD]))
    with Store(cache) as store:
        assert store.results.get(KEY, ("o", "tree/")).outputs == GOOD["outputs"]
        assert store.results.get(KEY, ("o",)) is None
        assert [code for code, _ in store.reports] == ["AX904"]


@pytest.mark.parametrize("text", ["[" * 100_000, '["result/' + KEY + '", NaN', "{}", "1" * 5000, "null"])
def test_text_that_is_no_pair_of_a_name_and_a_value_is_refused(cache, text):
    plant(cache, f"result/{KEY}", text)
    with Store(cache) as store:
        assert store.results.get(KEY) is None
        assert [code for code, _ in store.reports] == ["AX904"]


def test_a_last_key_that_is_none_and_code_of_another_digest_are_refused(cache):
    plant(cache, "last/w///a:b\nx", json.dumps(["last/w///a:b\nx", "../../x"]))
    plant(cache, f"code/{KEY}", json.dumps([f"code/{KEY}", {"m": "1" * 64}]))
    with Store(cache) as store:
        assert store.results.last_key("w", "//a:b", "x") is None
        assert store.results.code(KEY) is None
        assert [code for code, _ in store.reports] == ["AX904", "AX904"]


def test_settings_planted_in_the_database_change_nothing(cache):
    planted = {
        "disk_get": "x",
        "disk_fetch": 1,
        "get": "x",
        "_sql": 1,
        "sqlite_key": "x",
        "sqlite_cache_size": 1,
        "size": "x",
    }
    with sqlite3.connect(cache / "results" / "cache.db") as database:
        database.executemany("INSERT OR REPLACE INTO Settings VALUES (?, ?)", planted.items())
    database.close()
    with Store(cache) as store:
        assert store.results.get("cd" * 32).outputs == {"o": BLOB}
        inner = store.results._database._cache
        assert inner.disk.get.__func__ is JsonDisk.get
        assert not {"get", "_sql", "size", "key"} & set(vars(inner))
        assert inner.sqlite_cache_size == 8192
