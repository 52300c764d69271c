"""`axbuild test` as its users meet it: suites, cached verdicts, JUnit XML, exit codes, how much is told."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tiny_workspace import Tiny

CHECKS = """
[[limit]]
name = "tight"
of = ":both"
most = 3

[[limit]]
name = "wide"
of = ":a"

[[test_suite]]
name = "every"

[[test_suite]]
name = "good"
tests = [":short", ":wide"]

[[test_suite]]
name = "suites"
tests = [":good", "//q:other"]

[[alias]]
name = "latest"
actual = ":good"
"""
OTHER = """
[[limit]]
name = "other"
of = "//p:b"
"""


@pytest.fixture
def tiny(tmp_path):
    tiny = Tiny(tmp_path / "ws")
    tiny.write("p/BUILD.toml", tiny.read("p/BUILD.toml") + CHECKS)
    tiny.write("q/BUILD.toml", OTHER)
    return tiny


def told(done):
    return re.findall(r"^(PASSED|FAILED|NOT RUN) (\S+?)(?: \(cached\)| in \S+ m?s)?: ", done.err, re.MULTILINE)


def test_an_empty_suite_is_every_check_of_its_package(tiny):
    done = tiny.run("test", "//p:every")
    assert done.code == 1
    assert sorted(told(done)) == [("FAILED", "//p:tight"), ("PASSED", "//p:short"), ("PASSED", "//p:wide")]


def test_suites_hold_suites_and_checks_of_other_packages_and_have_aliases(tiny):
    done = tiny.run("test", "//p:suites")
    assert (done.code, sorted(label for _, label in told(done))) == (0, ["//p:short", "//p:wide", "//q:other"])
    assert sorted(label for _, label in told(tiny.run("test", "//p:latest"))) == ["//p:short", "//p:wide"]


def test_a_check_in_two_suites_is_told_once(tiny):
    done = tiny.run("test", "//p:every", "//p:good", "//p:short")
    assert sorted(label for _, label in told(done)) == ["//p:short", "//p:tight", "//p:wide"]


def test_building_a_suite_judges_its_checks(tiny):
    done = tiny.build("//p:good")
    assert (done.code, sorted(told(done))) == (0, [("PASSED", "//p:short"), ("PASSED", "//p:wide")])
    assert tiny.build("//p:every").code == 1


def test_a_suite_of_a_package_without_checks_says_so(tiny):
    tiny.write("r/BUILD.toml", '[[test_suite]]\nname = "none"\n')
    done = tiny.run("test", "//r:none")
    assert done.code == 2
    assert "r/BUILD.toml:1: error AX114: tests is empty, and the package has no check" in done.err


def test_a_suite_takes_checks_only(tiny):
    tiny.write("r/BUILD.toml", '[[test_suite]]\nname = "none"\ntests = ["//p:a"]\n')
    done = tiny.run("test", "//r:none")
    assert done.code == 2
    assert "error AX204: tests takes Verdict or Tests, and //p:a (text) gives Files" in done.err


def test_a_verdict_of_before_is_marked_as_cached(tiny):
    first = tiny.run("test", "//p:good")
    again = tiny.run("test", "//p:good", _AXBUILD_NO_SNAPSHOT="1")
    assert [event["cached"] for event in first.of("test_result")] == [False, False]
    assert all(event["seconds"] > 0 for event in first.of("test_result"))
    assert [event["cached"] for event in again.of("test_result")] == [True, True]
    assert re.search(r"^PASSED //p:short in \S+ m?s: 15 letters, limit 40$", first.err, re.MULTILINE)
    assert re.search(r"^PASSED //p:short \(cached\): 15 letters, limit 40$", again.err, re.MULTILINE)


def test_the_snapshot_marks_verdicts_as_cached_too(tiny):
    lines = [tiny.run("test", "//p:good").err for _ in range(3)][-1].splitlines()
    assert sorted(lines) == [
        "PASSED //p:short (cached): 15 letters, limit 40",
        "PASSED //p:wide (cached): 5 letters, limit 10",
    ]


@pytest.mark.parametrize(("wanted", "lines"), [("summary", 1), ("errors", 2), ("all", 2)])
def test_how_much_is_told(tiny, wanted, lines):
    tiny.run("test", "//p:every")
    done = tiny.run("test", "//p:every", f"--test_output={wanted}", "-q")
    said = [line for line in done.err.splitlines() if line]
    assert said[0] == "FAILED //p:tight (cached): 15 letters, limit 3"
    assert done.code == 1
    loud = tiny.run("test", "//p:every", f"--test_output={wanted}").err
    assert ("PASSED" in loud) == (wanted != "summary")
    assert len(said) == 1, "this rule's verdict has no numbers beside its sentence"


def test_junit_tells_what_passed_failed_and_was_not_run(tiny, tmp_path):
    tiny.write("p/b.txt", "quiet")
    tiny.edit("p/BUILD.toml", 'of = ":b"', 'of = ":b"\n')
    tiny.write("q/BUILD.toml", OTHER + '\n[[shout]]\nname = "no"\nof = "//p:b"\n[[limit]]\nname = "lost"\nof = ":no"\n')
    file = tmp_path / "results.xml"
    done = tiny.run("test", "//p:tight", "//p:wide", "//q:lost", "--keep_going", "--junit", str(file))
    assert done.code == 2, "the stage says that the input is bad"
    root = ElementTree.parse(file).getroot()
    assert {case.get("name"): [child.tag for child in case] for case in root.iter("testcase")} == {
        "tight": ["failure"],
        "wide": ["system-out"],
        "lost": ["error"],
    }
    (failure,), (error,) = root.iter("failure"), root.iter("error")
    assert failure.get("message") == "12 letters, limit 3"
    assert error.get("message") == "needs //q:no shout, which failed"
    assert "NOT RUN //q:lost: needs //q:no shout, which failed" in done.err
    assert "1 of 3 checks passed" in done.out


def test_a_junit_file_that_cannot_be_written_is_told_before_anything_runs(tiny, tmp_path):
    done = tiny.run("test", "//p:good", "--junit", str(tmp_path / "no" / "x.xml"))
    assert done.code == 2
    assert "error AX251: --junit: " in done.err
    assert "No such file or directory" in done.err
    assert done.events == []


def test_flags_of_test_are_no_flags_of_build(tiny):
    done = tiny.run("build", "//p:good", "--junit", "x.xml")
    assert (done.code, "No such option '--junit'" in done.err) == (2, True)


def test_a_verdict_is_told_as_soon_as_it_is_there_and_once(tiny):
    done = tiny.run("test", "//p:tight", "//p:wide", "--jobs", "1")
    order = [(e["event"], e["label"]) for e in done.events if e["event"] in ("action_finished", "test_result")]
    first = order.index(("test_result", "//p:wide"))
    assert order[first - 1] == ("action_finished", "//p:wide")
    assert ("action_finished", "//p:tight") in order[first:]
    assert sorted(label for kind, label in order if kind == "test_result") == ["//p:tight", "//p:wide"]


def test_a_dry_run_judges_nothing(tiny):
    tiny.run("test", "//p:good")
    assert tiny.run("test", "//p:good", "-n").of("test_result") == []


def test_a_verdict_that_was_lost_is_made_again_and_told_once(tiny):
    first = tiny.run("test", "//p:wide")
    digest = first.of("action_finished")[-1]["outputs"]["verdict.json"]
    (blob,) = (tiny.root / "cache/cas").glob(f"**/{digest}*")
    blob.chmod(0o644)
    blob.write_bytes(b"x" * blob.stat().st_size)
    again = tiny.run("test", "//p:wide", _AXBUILD_NO_SNAPSHOT="1")
    assert (again.code, [e["passed"] for e in again.of("test_result")]) == (0, [True])
    assert again.executed == ["measure"]
