"""`axbuild cache`: what it says, and that builds keep the cache small by themselves."""

import json
import re

import pytest

from axbuild.store.locks import FileLock
from tiny_workspace import Tiny


@pytest.fixture
def built(tmp_path):
    tiny = Tiny(tmp_path / "ws")
    for text in ("hello", "good day", "hi"):
        tiny.write("p/a.txt", text)
        assert tiny.build("//p:both", "//p:words").code == 0
    return tiny


def as_json(tiny, *words):
    done = tiny.run("cache", *words, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_stats_tell_what_each_target_and_stage_costs(built):
    found = as_json(built, "stats")
    targets = {one["name"]: (one["results"], one["bytes"], one["own_bytes"]) for one in found["targets"]}
    assert targets["//p:a"] == (1, 2, 2)
    assert targets["//p:both"] == (2, len("HI! my world") + 2, len("HI! my world") + 2)
    stages = {one["name"]: one["results"] for one in found["stages"]}
    assert stages["./shout_stages.py:shout"] == 5
    assert found["earlier_bytes"] == sum(
        len(text) for t in ("hello", "good day") for text in (t, f"{t}!", f"{t}! my world")
    )
    assert found["unnamed_bytes"] == 0
    assert [tree["root"] for tree in found["work_trees"]] == [str(built.root)]
    text = built.run("cache", "stats").out
    assert re.search(r"^target +actions +bytes +own +shared$", text, re.MULTILINE)
    assert re.search(r"^//p:a +1 +2 B +2 B +0 B$", text, re.MULTILINE)
    assert "limit 20 GB, kept 30 days unused" in text


def test_gc_says_what_would_go_then_does_it_and_why_still_knows(built):
    would = built.run("cache", "gc", "--dry_run", "--max_age_days", "0.0000001")
    said = re.search(r"would remove (.*): (\d+) files not used for too long\n", would.out)
    assert said, would.out
    plan = as_json(built, "gc", "--max_age_days", "0.0000001")
    assert len(plan["blobs"]) == int(said[2])
    assert as_json(built, "stats")["blobs"] == 0
    assert built.run("cache", "verify").code == 0
    built.edit("p/a.txt", "hi", "hey")
    done = built.build("//p:both")
    assert "p/a.txt" in done.reasons["//p:a strip"], "the key record outlives its files"
    assert built.read("axbuild-out/p/both/text") == "HEY! my world"


def test_what_goes_stays_within_the_limit_of_the_settings(built):
    built.write("axbuild.toml", "[cache]\nsize_gb = 1e-7\n")
    built.edit("p/a.txt", "hi", "hey")
    done = built.build("//p:both", "//p:words")
    assert done.code == 0
    # Of what targets have no more, the texts of the last build but one alone: its snapshot was living until now.
    assert as_json(built, "stats")["earlier_bytes"] == sum(map(len, ("hi", "hi!", "hi! my world")))
    assert built.build("//p:both", "//p:words").executed == [], "and kept what it needs itself"


def test_a_collection_beside_another_is_no_failure(built):
    with FileLock(built.root / "cache/locks/collect"):
        done = built.run("cache", "gc")
    assert (done.code, done.out.startswith("another process is collecting the cache in ")) == (0, True)


def test_a_cache_that_reads_from_itself_is_refused(built):
    built.write("axbuild.toml", "[cache]\nread_from = 'cache'\n")
    done = built.build("//p:both")
    assert (done.code, "error AX909: read_from under [cache] names the cache itself" in done.err) == (2, True)
