"""Verbs, their mistakes and their exit codes, in this process; whole texts where a user reads them."""

import json
import os
import shlex
import subprocess
import sys

import pytest

from axbuild.cli.app import run
from axbuild.cli.completing import labels
from axbuild.errors import AxError
from axbuild.workspace.verb import BUILT_IN

BUILD = """
[[filegroup]]
name = "pictures"
srcs = ["*.png"]

[[alias]]
name = "photos"
actual = ":pictures"
"""


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    (tmp_path / "axbuild.toml").write_text("[config.ci.build]\njobs = 1\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/BUILD.toml").write_text(BUILD)
    (tmp_path / "data/a.png").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_verb_has_help(capsys):
    for verb in [*BUILT_IN, "inspect"]:
        assert run([verb, "--help"]) == 0
        shown = capsys.readouterr().out
        assert shown.startswith(f"Usage: axbuild {verb} ")
        assert "Show this message" in shown


def test_the_command_line_lists_its_verbs(capsys):
    assert run(["-h"]) == 0
    shown = capsys.readouterr().out
    assert [verb for verb in [*BUILT_IN, "inspect"] if f"\n  {verb} " not in shown] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["buidl"], "there is no command 'buidl'; did you mean 'build'?"),
        (["build"], "Missing argument 'TARGETS...'"),
        (["build", "//data", "--keepgoing"], "No such option '--keepgoing'"),
        (["build", "//data", "-j", "0"], "0 is not in the range x>=1"),
        (
            ["build", "//data:photo"],
            "error AX202: there is no target //data:photo\n  hint: did you mean '//data:photos'?",
        ),
        (["build", "//data:"], "error AX200: '//data:' is not a label"),
        (
            ["build", "//data:all", "--events", "/none/x"],
            "error AX251: --events: /none/x cannot be written: No such file",
        ),
        (
            ["build", "//data:all", "--config", "cii"],
            "error AX102: unknown configuration 'cii'\n  hint: did you mean 'ci'?",
        ),
        (["test", "//..."], "error AX250: //... names no target with a verdict"),
        (["why", "//data:photos"], "error AX254: no build of //data:photos is on record in this workspace"),
        (["query", "dep(//data:photos)"], "error AX253: 'dep(//data:photos)' is no query: there is no function 'dep'"),
        (["query", "deps(//a,//b)"], "it has too many arguments"),
        (["query", "deps()"], "it has an empty argument"),
        (["explain", "AX1"], "error AX252: there is no error code 'AX1'"),
        (["info", "filegroups"], "error AX255: there is no rule 'filegroups'\n  hint: did you mean 'filegroup'?"),
        (["completion", "tcsh"], "'tcsh' is not one of 'bash', 'zsh', 'fish'"),
    ],
)
def test_a_mistake_on_the_command_line_exits_2_and_says_what_to_do(workspace, capsys, arguments, told):
    assert run(arguments) == 2
    assert told in capsys.readouterr().err


def test_outside_a_workspace_every_verb_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for verb in (["build", "//x"], ["query", "//x"], ["why", "//x"], ["info"], ["clean"]):
        assert run(verb) == 2
        assert "error AX100" in capsys.readouterr().err


def test_a_defect_of_ours_exits_3_with_its_trace(workspace, monkeypatch, capsys):
    def broken(*_):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("axbuild.workspace.workspace.Workspace.find", broken)
    assert run(["info"]) == 3
    told = capsys.readouterr().err
    assert "ZeroDivisionError: ours" in told
    assert told.splitlines()[-1].startswith("error AX900: axbuild itself failed")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["//..."], ["//data:pictures", "//data:photos"]),
        (["//...", "-//data:photos"], ["//data:pictures"]),
        (["deps(//data:photos)"], ["//data:pictures", "//data:photos"]),
        (["deps", "//data:pictures"], ["//data:pictures"]),
        (["rdeps(//data:pictures)"], ["//data:pictures", "//data:photos"]),
        (["rdeps(//data:all, //data:photos)"], ["//data:photos"]),
    ],
)
def test_queries(workspace, capsys, words, found):
    assert run(["query", *words]) == 0
    assert capsys.readouterr().out.split() == found


def test_a_query_for_programs(workspace, capsys):
    run(["query", "//data:photos", "--json"])
    assert json.loads(capsys.readouterr().out) == [{"label": "//data:photos", "rule": "alias"}]


def test_plain_files_are_handed_over_without_running_anything(workspace, capsys):
    assert run(["build", "//data:photos"]) == 0
    assert "done: 0 built, 0 reused" in capsys.readouterr().out


def test_info_for_people_and_programs(workspace, capsys):
    assert run(["info", "--config", "ci"]) == 0
    assert "jobs:            1\n" in capsys.readouterr().out
    run(["info", "--json"])
    facts = json.loads(capsys.readouterr().out)
    assert facts["workspace"] == str(workspace)
    assert "filegroup" in facts["rules"]
    assert run(["info", "filegroup"]) == 0
    assert capsys.readouterr().out == (
        "filegroup: Plain files under one label.\n\n"
        "  name: a string, required\n"
        "      The target's name: its label is //package:name.\n"
        "  srcs: a path, a glob, a list of them, or a label, required\n"
        "      Paths of files and folders, globs, and labels of other plain files.\n"
    )


def test_help_shows_the_page_of_a_command_or_of_a_rule_with_types_defaults_and_fields(workspace, capsys):
    assert run(["help", "builds"]) == 0
    assert capsys.readouterr().out.startswith("Usage: axbuild builds [OPTIONS]")
    assert run(["help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: axbuild [OPTIONS] COMMAND")
    assert run(["help", "quant_model"]) == 0
    told = capsys.readouterr().out
    assert '  method: "MinMax", "Percentile", "MSE", "KL" or "Auto", default "MinMax"\n' in told
    assert "  layer_configs: a list of tables, default []\n" in told
    assert '      weight_data_type: "S4", "S8", "S16" or "FP32", default "S8"\n          Element type of' in told
    assert run(["help", "quant_modle"]) == 2
    assert "hint: did you mean 'quant_model'?" in capsys.readouterr().err


def test_an_error_code_is_explained(capsys):
    assert run(["explain", "ax104"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "AX104: a rule has no such attribute",
        "exit code 2: a mistake in the input",
    ]
    assert run(["explain"]) == 0
    assert "AX509  exit 1  building again gave other bytes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("", ["//data", "//data:"]),
        ("//d", ["//data", "//data:"]),
        ("//data:", ["//data:photos", "//data:pictures"]),
        ("//x", []),
    ],
)
def test_labels_are_completed(workspace, typed, offered):
    assert labels(workspace, typed) == offered


def test_completion_reports_no_errors(workspace):
    (workspace / "data/BUILD.toml").write_text("not toml")
    assert labels(workspace, "//data:") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_axbuild(capsys, shell):
    assert run(["completion", shell]) == 0
    assert "_AXBUILD_COMPLETE" in capsys.readouterr().out


def test_clean_takes_outputs_and_on_request_the_cache(workspace, capsys):
    run(["build", "//data:pictures"])
    (workspace / "cache/mine").write_text("mine")
    assert run(["clean", "--cache"]) == 0
    assert [path.name for path in (workspace / "cache").iterdir()] == ["mine"]
    assert "removed the cache" in capsys.readouterr().out


def test_clean_leaves_a_cache_that_a_build_is_using(workspace, capsys):
    from axbuild.store.store import Store

    with Store(workspace / "cache"):
        assert run(["clean", "--cache"]) == 3
    assert "error AX951" in capsys.readouterr().err
    assert (workspace / "cache/cas").is_dir()


def test_errors_carry_their_own_exit_code(workspace, monkeypatch, capsys):
    def full(*_):
        raise AxError("no space", code="AX901")

    monkeypatch.setattr("axbuild.workspace.workspace.Workspace.find", full)
    assert run(["build", "//data"]) == 3


HEAVY = ("torch", "onnx", "numpy", "onnxruntime", "networkx", "jsonschema", "rich", "importlib.metadata", "asyncio")
PROBE = """
import os
import sys
from axbuild.cli.entry import main
os._exit = sys.exit
sys.argv[0] = "axbuild"
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print([name for name in {heavy!r} if name in sys.modules], "click" in sys.modules, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "click"),
    [(["--help"], True), (["query", "//..."], True), (["build", "//data:pictures"], False), (["version"], False)],
)
def test_light_commands_import_nothing_heavy(workspace, arguments, click):
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=HEAVY), *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == f"[] {click}"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_stops_no_build(workspace, closed):
    command = f"{shlex.quote(sys.executable)} -m axbuild.cli.entry build //... {closed}"
    for _ in range(2):  # the second one is answered by the snapshot
        done = subprocess.run(["bash", "-c", command], cwd=workspace, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("verb", ["build", "build --json", "query", "info"])
def test_output_on_a_full_disk_is_told_and_no_defect(workspace, verb):
    words = verb if verb == "info" else f"{verb} //..."
    for _ in range(2):  # the second build is answered by the snapshot
        run(["build", "//..."])
        command = f"{shlex.quote(sys.executable)} -m axbuild.cli.entry {words} >/dev/full"
        done = subprocess.run(["bash", "-c", command], cwd=workspace, capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert done.stderr.endswith("error AX952: the standard output cannot be written: No space left on device\n")
        assert "Traceback" not in done.stderr


def test_a_reader_that_has_gone_and_a_full_events_file_on_the_second_build(workspace):
    base = [sys.executable, "-m", "axbuild.cli.entry", "build", "//..."]
    for _ in range(2):
        subprocess.run(base, cwd=workspace, capture_output=True, check=True)
    piped = f"set -o pipefail; {shlex.join(base)} | true"
    gone = subprocess.run(["bash", "-c", piped], cwd=workspace, capture_output=True, text=True, check=False)
    assert (gone.returncode, gone.stderr) == (0, "")
    full = subprocess.run([*base, "--events", "/dev/full"], cwd=workspace, capture_output=True, text=True, check=False)
    assert full.returncode == 2
    assert "error AX251: --events: /dev/full cannot be written: No space left on device" in full.stderr


@pytest.mark.parametrize("flag", ["--events", "--profile"])
def test_an_empty_file_name_is_a_mistake_and_not_no_file(workspace, capsys, flag):
    assert run(["build", "//...", flag, ""]) == 2
    assert capsys.readouterr().err == f"error AX251: {flag}: '' cannot be written: Is a directory\n"


@pytest.mark.parametrize("flag", ["--events", "--junit", "--profile"])
@pytest.mark.parametrize(
    "name", ["data/BUILD.toml", "axbuild.toml", "data/photos/1.png", "rules/new.py", "notes", "link"]
)
def test_a_report_never_takes_the_place_of_somebodys_file(workspace, capsys, flag, name):
    (workspace / "notes").write_text("mine")
    (workspace / "link").symlink_to("data/BUILD.toml")
    verb = "test" if flag == "--junit" else "build"
    before = {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()}
    assert run([verb, "//...", flag, name]) == 2
    assert f"error AX251: {flag}: {name} cannot be written: " in capsys.readouterr().err
    assert {path: path.read_bytes() for path in workspace.rglob("*") if path.is_file()} == before


def test_a_build_with_nothing_to_do_overwrites_no_source_either(workspace):
    base = [sys.executable, "-m", "axbuild.cli.entry", "build", "//..."]
    for _ in range(2):
        subprocess.run([*base, "--events", "log"], cwd=workspace, capture_output=True, check=True)
    text = (workspace / "data" / "BUILD.toml").read_text()
    done = subprocess.run([*base, "--events", "data/BUILD.toml"], cwd=workspace, capture_output=True, text=True)
    assert (done.returncode, (workspace / "data" / "BUILD.toml").read_text()) == (2, text)
    assert "error AX251: --events: data/BUILD.toml cannot be written: a file called BUILD.toml is what builds read" in (
        done.stderr
    )


@pytest.mark.parametrize("name", ["data/runs/old.jsonl", "link", "data/linked.jsonl"])
def test_an_earlier_report_that_is_a_source_stays_on_a_build_with_nothing_to_do_too(workspace, name):
    build = (workspace / "data/BUILD.toml").read_text()
    (workspace / "data/BUILD.toml").write_text(build + '\n[[filegroup]]\nname = "runs"\nsrcs = ["runs"]\n')
    (workspace / "data/runs").mkdir()
    base = [sys.executable, "-m", "axbuild.cli.entry", "build", "//data:pictures"]
    report = workspace / "data/runs/old.jsonl"
    subprocess.run([*base, "--events", str(report)], cwd=workspace, capture_output=True, check=True)
    text = report.read_bytes()
    (workspace / "link").symlink_to("data")
    (workspace / "data/linked.jsonl").symlink_to("runs/old.jsonl")
    asked = name if name != "link" else "link/runs/old.jsonl"
    for environment in ({}, {"_AXBUILD_NO_SNAPSHOT": "1"}):
        done = subprocess.run(
            [*base, "--events", asked], cwd=workspace, capture_output=True, text=True, env=os.environ | environment
        )
        assert (done.returncode, report.read_bytes()) == (2, text)
        assert done.stderr == (f"error AX251: --events: {asked} cannot be written: it is a source of //data:runs\n")


def test_an_earlier_report_in_a_package_that_is_no_source_is_written_anew(workspace):
    base = [sys.executable, "-m", "axbuild.cli.entry", "build", "//data:pictures", "--events", "data/log.jsonl"]
    for _ in range(3):
        done = subprocess.run(base, cwd=workspace, capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in (workspace / "data/log.jsonl").read_text().splitlines()]
    assert [event["event"] for event in events] == [
        "build_started",
        "action_finished",
        "build_finished",
    ], done.stderr


def test_two_reports_in_one_file_are_refused(workspace, capsys):
    assert run(["build", "//...", "--events", "log", "--profile", "./log"]) == 2
    assert capsys.readouterr().err == (
        "error AX251: --profile: ./log cannot be written: --events names the same file\n"
    )


@pytest.mark.parametrize("words", ["build //...", "cache stats", "cache gc", "cache verify", "clean --cache"])
@pytest.mark.parametrize(
    ("place", "told"),
    [
        (
            "notes",
            "error AX911: {root}/notes stands where the cache keeps a file or folder of its own: it is no folder",
        ),
        (
            "notes/deep/x",
            "error AX911: {root}/notes stands where the cache keeps a file or folder of its own: it is no",
        ),
        ("nowhere", "error AX911: {root}/nowhere stands where the cache keeps a file or folder of its own: it is no"),
        ("/dev/null/x", "error AX911: /dev/null stands where the cache keeps a file or folder of its own: it is no"),
        ("/proc/x", "error AX902: the cache in /proc/x cannot be written: No such file or directory"),
    ],
)
def test_a_cache_that_cannot_be_there_is_told_with_its_place(workspace, capsys, words, place, told):
    (workspace / "notes").write_text("mine")
    (workspace / "nowhere").symlink_to("gone/away")
    (workspace / "axbuild.toml").write_text(f'[cache]\ndir = "{place}"\n')
    nothing_to_remove = (words, place) == ("clean --cache", "/proc/x")
    assert run(words.split()) == (0 if nothing_to_remove else 3)
    told = "" if nothing_to_remove else told.format(root=workspace)
    assert capsys.readouterr().err.startswith(told)
    assert (workspace / "notes").read_text() == "mine"
