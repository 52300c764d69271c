"""What runs after which edit, and what a build says; asserted on the event stream of real processes."""

import json
import os
import re

import pytest

from tiny_workspace import Tiny

ALL = ["strip", "strip", "shout", "look", "join"]


@pytest.fixture
def tiny(tmp_path):
    return Tiny(tmp_path / "ws")


@pytest.fixture
def built(tiny):
    assert tiny.build().code == 0
    return tiny


def test_a_first_build_runs_every_action_and_hands_over_the_output(tiny):
    done = tiny.build()
    assert (done.code, sorted(done.executed)) == (0, sorted(ALL))
    assert tiny.read("axbuild-out/p/both/text") == "HELLO! my world"
    assert not (tiny.root / "axbuild-out/p/loud").exists(), "only requested targets are handed over"
    assert done.events[-1]["outputs"] == {"//p:both": ["axbuild-out/p/both/text"]}
    assert "axbuild-out/p/both/text" in done.out


def test_a_second_build_runs_nothing(built):
    done = built.build()
    assert set(done.statuses.values()) == {"up_to_date"}
    assert done.events[-1]["counts"] == {"executed": 0, "cached": 0, "up_to_date": 5, "failed": 0, "skipped": 0}


def test_touching_files_and_comments_in_build_files_run_nothing(built):
    built.edit("p/BUILD.toml", '[[text]]\nname = "a"', '# a comment\n[[text]]\nname   = "a"')
    for path in built.root.rglob("*.t*"):
        os.utime(path)
    assert built.build().executed == []


def test_a_comment_in_a_source_runs_only_what_reads_it_first(built):
    built.edit("p/a.txt", "# first", "# another")
    done = built.build()
    assert done.executed == ["strip"]
    assert "p/a.txt" in done.reasons["strip"]
    assert "file p/a.txt" not in built.why()
    assert "p/a.txt changed: " in built.why()


def test_a_parameter_runs_its_action_and_what_follows(built):
    built.edit("p/BUILD.toml", 'of = ":a"', 'of = ":a"\nmark = "?"')
    done = built.build()
    assert sorted(done.executed) == ["join", "look", "shout"]
    assert done.reasons["shout"] == 'parameter mark: "!" -> "?"'
    assert 'parameter mark: "!" -> "?"' in built.why()


def test_a_limit_runs_only_the_comparison(built):
    assert built.build("//p:short").executed == ["measure"]
    built.edit("p/BUILD.toml", "most = 40", "most = 30")
    assert built.build("//p:short").executed == ["measure"]


def test_code_of_one_stage_reruns_that_stage_and_not_its_neighbours(built):
    built.edit("rules/shout_stages.py", "words.upper() + params.mark", "params.mark.join([words.upper(), ''])")
    done = built.build()
    assert done.executed == ["shout"]
    assert "shout_stages" in done.reasons["shout"]
    assert "changed: " in done.reasons["shout"]


def test_what_was_built_before_an_edit_is_taken_back_from_the_cache(built):
    built.edit("p/a.txt", "hello", "bye")
    assert sorted(built.build().executed) == ["join", "look", "shout", "strip"]
    built.edit("p/a.txt", "bye", "hello")
    done = built.build()
    assert done.executed == []
    assert done.statuses["//p:a strip"] == "cached"
    assert built.read("axbuild-out/p/both/text") == "HELLO! my world"


def test_another_workspace_with_the_same_cache_takes_what_is_there(built, tmp_path):
    other = Tiny(tmp_path / "other")
    done = other.build(AXBUILD_CACHE_DIR=str(built.root / "cache"))
    assert set(done.statuses.values()) == {"cached"}
    assert other.read("axbuild-out/p/both/text") == "HELLO! my world"


def test_a_deleted_or_edited_output_is_put_back_without_running_anything(built):
    path = built.root / "axbuild-out/p/both/text"
    path.write_text("mine")
    assert (built.build().executed, path.read_text()) == ([], "HELLO! my world")
    path.unlink()
    assert (built.build().executed, path.read_text()) == ([], "HELLO! my world")
    store_inodes = {blob.stat().st_ino for blob in (built.root / "cache/cas").glob("*/*")}
    assert path.stat().st_ino not in store_inodes


def test_stale_outputs_are_removed_and_other_files_left(tiny):
    tiny.build("//p:words")
    folder = tiny.root / "axbuild-out/p/words/words"
    (folder / "mine.txt").write_text("mine")
    tiny.edit("p/b.txt", "my world", "my house")
    tiny.build("//p:words")
    assert sorted(path.name for path in folder.iterdir()) == ["house.txt", "mine.txt", "my.txt"]


@pytest.mark.parametrize("damage", ["missing", "corrupt"])
def test_a_damaged_blob_is_made_again_and_named(built, damage):
    key = {e["stage"]: e for e in built.build(_AXBUILD_NO_SNAPSHOT="1").of("action_finished")}["shout"]
    digest = key["outputs"]["text"]
    blob = built.root / "cache/cas" / digest[:2] / digest
    blob.chmod(0o644)
    if damage == "missing":
        blob.unlink()
    else:
        blob.write_bytes(b"HELLO?")
    (built.root / "axbuild-out/p/both/text").unlink()
    built.edit("p/b.txt", "my", "our")
    done = built.build()
    assert done.code == 0
    assert sorted(done.executed) == ["join", "look", "shout", "strip"]
    assert done.reasons["shout"].startswith(f"stored output text ({digest[:12]}) is ")
    assert built.read("axbuild-out/p/both/text") == "HELLO! our world"


def test_a_damaged_blob_of_an_output_is_made_again(built):
    digest = built.build(_AXBUILD_NO_SNAPSHOT="1").of("action_finished")[-1]["outputs"]["text"]
    blob = built.root / "cache/cas" / digest[:2] / digest
    blob.chmod(0o644)
    blob.write_bytes(b"nonsense")
    (built.root / "axbuild-out/p/both/text").unlink()
    done = built.build()
    assert (done.code, done.executed) == (0, ["join"])
    assert built.read("axbuild-out/p/both/text") == "HELLO! my world"


def test_a_failing_verdict_ends_build_and_test_with_1_and_its_sentence(tiny):
    tiny.edit("p/BUILD.toml", "most = 40", "most = 3")
    for verb, how in (("build", r" in \d+ ms"), ("test", r" \(cached\)")):
        done = tiny.run(verb, "//p:short")
        assert done.code == 1
        assert re.search(f"^FAILED //p:short{how}: 15 letters, limit 3$", done.err, re.MULTILINE)
        assert done.of("test_result")[0]["passed"] is False
    assert done.executed == [], "a verdict is a result like any other"
    tiny.edit("p/BUILD.toml", "most = 3", "most = 30")
    assert tiny.run("test", "//p:short").code == 0


def test_test_takes_only_targets_with_a_verdict(tiny):
    done = tiny.run("test", "//...")
    assert [event["label"] for event in done.of("test_result")] == ["//p:short"]
    nothing = tiny.run("test", "//p:a")
    assert (nothing.code, "AX250" in nothing.err) == (2, True)


def test_an_expansion_runs_its_children_and_only_new_ones_later(tiny):
    first = tiny.build("//p:words")
    assert first.executed == ["strip", "split", "shout", "shout"]
    assert tiny.read("axbuild-out/p/words/words/my.txt") == "MY WORLDmy"
    tiny.edit("p/b.txt", "my world", "my  world")
    again = tiny.build("//p:words")
    assert set(again.executed) == {"strip", "split", "shout"}


def test_an_expansion_cannot_leave_its_folder_or_name_any_stage(tiny):
    tiny.edit("rules/split_stages.py", '{word}.txt"', '../{word}.txt"')
    done = tiny.build("//p:words")
    assert done.code == 1
    assert "error AX502: //p:words: expansion.json of 'split' (./split_stages.py:split) is not valid" in done.err
    assert "no path inside a folder" in done.err
    tiny.edit("rules/split_stages.py", '../{word}.txt"', '{word}.txt"')
    tiny.edit("rules/split_stages.py", "shout_stages.py:shout", "os:system")
    assert "no loaded rule declares the stage './os:system'" in tiny.build("//p:words").err


def test_warnings_of_a_stage_are_told_on_every_build(tiny):
    tiny.write("p/a.txt", "odd")
    for replayed in (False, True, True):
        done = tiny.build()
        (told,) = done.of("diagnostic")
        assert (told["code"], told["sentence"], told["replayed"]) == ("AX300", "the text is odd", replayed)
        assert "//p:a strip: warning AX300: the text is odd" in done.err


def test_a_mistake_in_the_input_found_by_a_stage_exits_2_and_names_the_action(tiny):
    tiny.write("p/a.txt", "quiet")
    done = tiny.build()
    assert done.code == 2
    assert "error AX300: //p:loud shout: the word 'quiet' cannot be shouted\n  hint: take another word" in done.err
    assert done.statuses["//p:both join"] == "skipped"
    tiny.write("p/a.txt", "loud")
    assert tiny.build().code == 0


def test_a_preflight_stops_the_build_before_anything_that_it_does_not_need(tiny):
    tiny.write("p/b.txt", "ugly")
    done = tiny.build("//p:both", "//p:words", "--jobs", "1")
    assert done.code == 2
    assert done.statuses["//p:both look"] == "failed"
    assert set(done.executed) == {"strip", "shout"}
    assert done.statuses["//p:words split"] == "skipped"


def test_keep_going_builds_everything_else(tiny):
    tiny.write("p/a.txt", "quiet")
    stopped = tiny.build("//p:both", "//p:words", "--jobs", "1")
    done = tiny.build("//p:both", "//p:words", "--keep_going")
    assert (stopped.code, done.code) == (2, 2)
    assert done.statuses["//p:words split/world"] in ("executed", "up_to_date")
    assert tiny.read("axbuild-out/p/words/words/my.txt") == "MY WORLDmy"
    assert "1 failed" in done.out


def test_a_disk_full_for_a_stage_exits_3_with_the_actions_name_and_memory(tiny):
    full = "import errno; raise OSError(errno.ENOSPC, 'No space left on device'); words = "
    tiny.edit("rules/shout_stages.py", "words = ", full)
    done = tiny.build()
    assert done.code == 3, done.err
    told = r"error AX901: //p:loud shout: no space left on the disk while stage 'shout' ran \(memory peak \d+ MiB\)"
    assert re.search(told, done.err), done.err
    assert "failed: 2 built, 0 reused, 1 failed, 2 skipped" in done.out
    tiny.edit("rules/shout_stages.py", full, "words = ")
    assert sorted(tiny.build().executed) == ["join", "look", "shout"], "what had finished is kept"


def test_a_killed_worker_exits_1_with_the_actions_name_and_memory(tiny):
    tiny.edit("rules/shout_stages.py", "words = ", "import os, signal; os.kill(os.getpid(), signal.SIGKILL); words = ")
    done = tiny.build()
    assert done.code == 1
    assert "//p:loud shout: the process of stage 'shout' was killed by SIGKILL after" in done.err
    assert "MiB of memory" in done.err
    assert list((tiny.root / "cache/tmp").iterdir()) == []
    tiny.edit("rules/shout_stages.py", "os.kill(os.getpid(), signal.SIGKILL); ", "")
    assert tiny.build().code == 0


def test_an_unexpected_error_of_a_stage_exits_1(tiny):
    tiny.edit("rules/shout_stages.py", "words = ", "1 / 0; words = ")
    done = tiny.build()
    assert done.code == 1
    assert "//p:loud shout" in done.err
    assert "ZeroDivisionError" in done.err


def test_a_dry_run_says_what_would_run_and_runs_nothing(built):
    built.edit("p/a.txt", "hello", "bye")
    done = built.build("//p:both", "--dry_run")
    assert (done.code, done.executed) == (0, [])
    assert done.reasons["strip"].startswith("would run: p/a.txt changed")
    assert done.reasons["join"].startswith("may run")
    assert built.read("axbuild-out/p/both/text") == "HELLO! my world"
    assert sorted(built.build().executed) == ["join", "look", "shout", "strip"]


def test_why_tells_a_pending_edit_and_what_is_valid_since_when(built):
    built.edit("p/a.txt", "hello", "bye")
    text = built.why()
    assert "edited since then; a build now would run" in text
    assert "p/a.txt changed" in text
    built.build()
    told = json.loads(built.run("why", "//p:both", "--json").out)
    by_name = {f"{a['label']} {a['action']}": a for a in told["actions"]}
    assert by_name["//p:a strip"]["status"] == "executed"
    assert by_name["//p:a strip"]["causes"][0]["where"] == "p/a.txt"
    assert by_name["//p:b strip"]["valid_since"]["build"] == 1 < told["build"]
    assert told["pending"] == []


def test_why_of_what_was_never_built_is_an_error(tiny):
    done = tiny.run("why", "//p:both")
    assert (done.code, "AX254" in done.err) == (2, True)


def test_explain_says_every_cause(built):
    built.edit("p/BUILD.toml", 'of = ":a"', 'of = ":a"\nmark = "?"')
    done = built.build("//p:both", "--explain")
    assert '    parameter mark: "!" -> "?"\n' in done.err
    assert "changed: " in done.err


def test_json_prints_one_object(tiny):
    done = tiny.build("//p:short", "--json")
    record = json.loads(done.out)
    assert record["exit_code"] == 0
    assert record["counts"]["executed"] == 6
    (test,) = record["tests"]
    assert test.pop("seconds") > 0
    told = {"label": "//p:short", "passed": True, "sentence": "15 letters, limit 40", "cached": False, "built": True}
    assert test == told


def test_events_have_the_fields_that_tools_read(tiny):
    done = tiny.build()
    kinds = [event["event"] for event in done.events]
    assert (kinds[0], kinds[-1]) == ("build_started", "build_finished")
    assert done.events[0]["version"] == 1
    finished = done.of("action_finished")[0]
    assert {"label", "stage", "stage_id", "key", "status", "reason", "seconds", "outputs"} <= finished.keys()
    assert len(finished["key"]) == 64
    assert {event["label"] for event in done.of("target_configured")} == {"//p:a", "//p:b", "//p:loud", "//p:both"}
    assert sum(event["actions"] for event in done.of("target_configured")) == 5


def test_building_twice_gives_the_same_bytes_or_names_what_does_not(tiny):
    done = tiny.build("//p:all", "--check_reproducible")
    assert done.code == 0, done.err
    assert "reproducible: 9 files of 9 actions came out the same" in done.out
    tiny.edit("rules/join_stages.py", '" ".join', 'str(__import__("time").time_ns()).join')
    done = tiny.build("//p:both", "--check_reproducible")
    assert done.code == 1
    assert "error AX509: //p:both join gave other bytes when built again: text" in done.err


def test_an_events_file_on_a_full_disk_is_told_and_the_build_still_done(tiny):
    process = tiny.start("build", "//p:b", "--events", "/dev/full")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, "done: 1 built" in out) == (2, True)
    assert "error AX251: --events: /dev/full cannot be written: No space left on device" in err


def test_a_reader_that_goes_away_does_not_stop_the_build(tiny):
    process = tiny.start("build", "//p:both")
    process.stderr.close()
    process.stdout.close()
    process.stderr = process.stdout = None
    assert process.wait(timeout=60) == 0
    assert tiny.read("axbuild-out/p/both/text") == "HELLO! my world"


def test_a_dry_run_counts_what_would_run(tiny):
    done = tiny.build("//p:both", "//p:words", "--dry_run")
    last = done.out.splitlines()[-1]
    assert last == "dry run: would run at least 2, may run at least 4 more, as far as inputs come out changed, 0 reused"
    assert not (tiny.root / "axbuild-out").exists()


def test_a_dry_run_tells_causes_first_and_which_action_will_name_more(built):
    built.build("//p:words")
    built.edit("rules/split_stages.py", "sorted(", "sorted(  ")
    built.edit("p/a.txt", "hello", "bye")
    told = built.build("//p:short", "//p:words", "--dry_run").err.splitlines()
    would, may = told[:2], told[2:]
    assert [line.split(": ", 1)[0] for line in sorted(would)] == ["//p:a strip would run", "//p:words split would run"]
    assert sorted(would)[1].endswith("; it names further actions")
    assert {line.partition(" may run")[0] for line in may} == {
        "//p:loud shout",
        "//p:both look",
        "//p:both join",
        "//p:short measure",
    }


def test_a_failing_action_among_the_inputs_of_a_preflight_does_not_hold_up_other_targets(tiny):
    tiny.write("p/a.txt", "quiet")
    done = tiny.build("//p:both", "//p:words", "--keep_going")
    assert done.statuses["//p:both look"] == "skipped"
    assert tiny.read("axbuild-out/p/words/words/my.txt") == "MY WORLDmy"
