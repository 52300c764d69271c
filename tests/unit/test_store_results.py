"""Action results: JSON text or nothing."""

from __future__ import annotations

import pickle
import sqlite3

import pytest

from axbuild.store.digests import digest_of_value
from axbuild.store.result import ActionResult
from axbuild.store.store import Store
from store_world import key_record

KEY = "ab" * 32
CODE = {"axbuild.toolchain.x": "4" * 64}
RESULT = ActionResult(
    key_record=key_record(code=digest_of_value(CODE), inputs={"x": "1" * 64}),
    outputs={"o": "2" * 64, "tree/": {"a": "3" * 64}},
    diagnostics=({"code": "AX301", "sentence": "ünïcode"},),
    seconds=1.5,
    peak_memory_bytes=42,
    platform="x86_64",
)


@pytest.fixture
def cache(tmp_path):
    with Store(tmp_path / "cache") as store:
        store.results.put(KEY, RESULT, CODE)
        store.results.set_last("w", "//a:b", "quantize", KEY)
    return tmp_path / "cache"


def sql(cache, text, *values):
    with sqlite3.connect(cache / "results" / "cache.db") as database:
        rows = database.execute(text, values).fetchall()
    database.close()
    return rows


class Bomb:
    """Unpickling this raises, and says so."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was read')",))


def test_a_result_comes_back_in_another_process_as_it_was_put(cache):
    with Store(cache) as store:
        assert store.results.get(KEY) == RESULT
        assert store.results.get("cd" * 32) is None
        assert store.results.last_key("w", "//a:b", "quantize") == KEY
        assert store.results.last_key("other", "//a:b", "quantize") is None
        assert store.results.last_key("w", "//a:b\nquantize", "") is None


def test_every_row_is_text(cache):
    assert sql(cache, "SELECT DISTINCT mode, filename, typeof(value), typeof(key), raw FROM Cache") == [
        (1, None, "text", "text", 1)
    ]
    assert [path.suffix for path in (cache / "results").rglob("*") if path.is_file()] == [".db"]


@pytest.mark.parametrize("mode", [0, 1, 2, 3, 4, 5])
def test_a_planted_pickle_is_refused_in_every_mode(cache, mode):
    sql(cache, "UPDATE Cache SET mode = ?, value = ?", mode, pickle.dumps(Bomb()))
    with Store(cache) as store:
        assert store.results.get(KEY) is None
        assert store.results.last_key("w", "//a:b", "quantize") is None
        assert [code for code, _ in store.reports] == ["AX904", "AX904"]
        store.results.put(KEY, RESULT, CODE)
        assert store.results.get(KEY) == RESULT


@pytest.mark.parametrize("mode", [2, 3, 4])
def test_a_planted_pickle_file_is_neither_read_nor_removed(cache, tmp_path, mode):
    (tmp_path / "bomb").write_bytes(pickle.dumps(Bomb()))
    sql(cache, "UPDATE Cache SET mode = ?, value = NULL, filename = ?", mode, str(tmp_path / "bomb"))
    with Store(cache) as store:
        assert store.results.get(KEY) is None
        store.results.put(KEY, RESULT, CODE)
    assert (tmp_path / "bomb").exists()


def test_planted_keys_and_settings_are_never_unpickled(cache):
    bomb = pickle.dumps(Bomb())
    sql(cache, "INSERT INTO Cache (key, raw, mode, value) VALUES (?, 0, 4, ?)", bomb, bomb)
    sql(cache, "INSERT OR REPLACE INTO Settings VALUES ('disk_pickle_protocol', ?)", bomb)
    sql(cache, "INSERT OR REPLACE INTO Settings VALUES ('eviction_policy', 'least-recently-used')")
    with Store(cache) as store:
        assert store.results.get(KEY) == RESULT
        store.results.put("cd" * 32, RESULT, CODE)
    assert sql(cache, "SELECT value FROM Settings WHERE key = 'eviction_policy'") == [("none",)]


def test_a_flipped_bit_in_a_row_is_a_miss_that_is_reported(cache):
    sql(cache, "UPDATE Cache SET value = replace(value, '2222', '2322')")
    with Store(cache) as store:
        assert store.results.get(KEY) is None
        [(code, sentence)] = store.reports
        assert code == "AX904"
        assert "checksum" in sentence


def test_a_row_that_is_no_longer_utf_8_loses_that_row_alone(cache):
    sql(cache, "UPDATE Cache SET value = CAST(x'ff41ff' AS TEXT) WHERE key LIKE 'result/%'")
    with Store(cache) as store:
        assert store.results.get(KEY) is None
        assert store.results.last_key("w", "//a:b", "quantize") == KEY
        assert [code for code, _ in store.reports] == ["AX904"]


def test_a_row_under_another_name_is_a_miss(cache):
    sql(cache, "UPDATE Cache SET key = ? WHERE key = ?", f"result/{'cd' * 32}", f"result/{KEY}")
    with Store(cache) as store:
        assert store.results.get("cd" * 32) is None
        assert [code for code, _ in store.reports] == ["AX904"]


def test_a_record_of_another_version_is_a_miss_without_a_word(cache, monkeypatch):
    monkeypatch.setattr("axbuild.store.result._FIELDS", {"key_record"})
    with Store(cache) as store:
        assert store.results.get(KEY) is None
        assert store.reports == []


@pytest.mark.parametrize("damage", ["header", "everything", "empty", "no table", "text"])
def test_a_database_that_cannot_be_read_is_put_aside_and_reported(cache, damage):
    file = cache / "results" / "cache.db"
    data = bytearray(file.read_bytes())
    match damage:
        case "header":
            data[0:16] = b"x" * 16
            file.write_bytes(data)
        case "everything":
            file.write_bytes(bytes(byte ^ 0x55 for byte in data))
        case "empty":
            file.write_bytes(b"")
        case "no table":
            sql(cache, "ALTER TABLE Cache RENAME COLUMN value TO other")
        case "text":
            file.write_text("not a database\n" * 1000)
    with Store(cache) as store:
        assert store.results.get(KEY) is None
        store.results.put(KEY, RESULT, CODE)
        assert store.results.get(KEY) == RESULT
        assert [code for code, _ in store.reports] == ([] if damage == "empty" else ["AX904"])
    assert (cache / "results.damaged-1").exists() == (damage != "empty")


def test_flipped_bits_anywhere_in_the_database_never_change_a_result(cache):
    with Store(cache) as store:
        for number in range(50):
            store.results.put(f"{number:064}", ActionResult(key_record(stage=str(number)), {}), None)
    file = cache / "results" / "cache.db"
    whole = file.read_bytes()
    for position in range(97, len(whole), len(whole) // 60):
        damaged = bytearray(whole)
        damaged[position] ^= 0x04
        file.write_bytes(damaged)
        with Store(cache) as store:
            for number in range(0, 50, 7):
                found = store.results.get(f"{number:064}")
                assert found is None or found.key_record["stage"] == str(number)
            store.results.put(KEY, RESULT, CODE)
            assert store.results.get(KEY) == RESULT


def put_two_of_which_one_cannot_be(store):
    with store.results.transaction():
        store.results.put(f"{3:064}", RESULT, CODE)
        store.results.put(f"{4:064}", ActionResult({"n": float("nan")}, {}), None)


def test_a_transaction_is_kept_whole_or_not_at_all(cache):
    with Store(cache) as store:
        with store.results.transaction():
            for number in range(3):
                store.results.put(f"{number:064}", RESULT, CODE)
        assert store.results.get(f"{2:064}") == RESULT
        with pytest.raises(ValueError, match="JSON"):
            put_two_of_which_one_cannot_be(store)
        assert store.results.get(f"{3:064}") is None


def test_the_code_behind_a_key_is_kept_once_and_found_by_its_digest(cache):
    digest = digest_of_value(CODE)
    with Store(cache) as store:
        store.results.put("cd" * 32, RESULT, CODE)
        assert store.results.code(digest) == CODE
        assert store.results.code("6" * 64) is None
    assert [name for (name,) in sql(cache, "SELECT key FROM Cache WHERE key LIKE 'code/%'")] == [f"code/{digest}"]
    [(text,)] = sql(cache, "SELECT value FROM Cache WHERE key = ?", f"result/{KEY}")
    assert "axbuild.toolchain.x" not in text


def test_code_that_is_not_what_its_digest_says_is_unknown(cache):
    with Store(cache) as store:
        store.results.put(KEY, RESULT, {"axbuild.toolchain.x": "5" * 64})
        assert store.results.code(digest_of_value(CODE)) is None


def test_results_outlive_their_blobs(cache):
    with Store(cache) as store:
        assert not store.blobs.has("2" * 64)
        assert store.results.get(KEY).key_record["inputs"] == {"x": "1" * 64}
