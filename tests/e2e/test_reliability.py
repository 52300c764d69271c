"""Damage of every kind, in real processes: never a wrong result, never a lost good one, always a clear message."""

import hashlib
import os
import pickle
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from stress import kill, phases

from axbuild.store.store import Store
from axbuild.store.verify import verify
from tiny_workspace import Tiny

TARGETS = ("//p:both", "//p:words", "//p:short")
OUTPUTS = {
    "axbuild-out/p/both/text": "HELLO! my world",
    "axbuild-out/p/words/words/my.txt": "MY WORLDmy",
    "axbuild-out/p/words/words/world.txt": "MY WORLDworld",
}
BLOB = "[0-9a-f]" * 4 + "*"

KINDS = {
    "blob": [f"cache/cas/*/{BLOB}"],
    "results": ["cache/results/cache.db"],
    "journal": ["cache/results/cache.db-wal", "cache/results/cache.db-shm"],
    "bookkeeping": [
        "cache/workspaces/*/stat.msgpack",
        "cache/workspaces/*/code.msgpack",
        "cache/workspaces/*/packages.msgpack",
        "cache/workspaces/*/root",
        "cache/cas/*/fingerprints",
        "cache/collected",
        f"cache/locks/{BLOB}",
        "cache/leases/*",
    ],
    "keys of a snapshot": ["cache/workspaces/*/snapshots/*.keys"],
    "snapshot": ["axbuild-out/.axbuild/.snapshots/*"],
    "records of builds": ["cache/workspaces/*/builds/*.jsonl", "cache/workspaces/*/builds/made.log"],
    "outputs": ["axbuild-out/p/*/text", "axbuild-out/.axbuild/p/*.json"],
}
"""kind of file -> where they stand"""

MAY_RUN = {"blob", "results", "journal"}
"""damage to which loses results"""


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes() or b"?")
    pick = random.Random(path.name)
    for _ in range(3 if len(data) > 4096 else 1):
        data[pick.randrange(len(data))] ^= 1 << pick.randrange(8)
    rewrite(path, bytes(data))


def cut(path: Path) -> None:
    rewrite(path, path.read_bytes()[: path.stat().st_size // 2])


def rewrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


DAMAGES = {"flipped": flip, "cut": cut, "deleted": Path.unlink}


@pytest.fixture
def tiny(tmp_path):
    return Tiny(tmp_path / "ws")


@pytest.fixture
def built(tiny):
    done = tiny.build(*TARGETS)
    assert done.code == 0, done.err
    return tiny


def leave_everything_lying_about(tiny: Tiny) -> None:
    """As after a kill: a journal with a result in it, a lock, a lease."""
    script = (
        "import os, sys; from pathlib import Path; from axbuild.store.store import Store;"
        "from axbuild.store.result import ActionResult; store = Store(Path(sys.argv[1]));"
        "store.lock('ab' * 32).acquire(); store.results.put('cd' * 32, ActionResult({}, {}), None); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(tiny.root / "cache")], check=True)
    for name in ("locks/" + "ab" * 32, "leases/1-00"):
        (tiny.root / "cache" / name).write_text("a lock's file is empty, but who knows")


def outputs_are(tiny: Tiny, **changed: str) -> None:
    for name, text in (OUTPUTS | changed).items():
        assert tiny.read(name) == text, name


def said_clearly(done) -> None:
    assert "Traceback" not in done.err + done.out, done.err
    assert "AX900" not in done.err, done.err


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_damage_to_any_file_changes_no_output_and_loses_nothing_else(built, kind, damage):
    leave_everything_lying_about(built)
    for pattern in KINDS[kind]:
        files = list(built.root.glob(pattern))
        assert files, f"there is no {pattern}"
        for path in files:
            DAMAGES[damage](path)
    # An answer from the snapshot would look at none of the rest.
    how = {} if "snapshot" in kind else {"_AXBUILD_NO_SNAPSHOT": "1"}
    done = built.build(*TARGETS, **how)
    said_clearly(done)
    assert done.code == 0, done.err
    outputs_are(built)
    if kind not in MAY_RUN:
        assert done.executed == [], "nothing that was good is made again"
    built.edit("p/a.txt", "hello", "good day")
    done = built.build(*TARGETS)
    said_clearly(done)
    assert done.code == 0, done.err
    outputs_are(built, **{"axbuild-out/p/both/text": "GOOD DAY! my world"})
    for words in (("why", "//p:both"), ("cache", "stats")) if kind in ("bookkeeping", "records of builds") else ():
        told = built.run(*words)
        said_clearly(told)
        assert told.code == 0, told.err
    with Store(built.root / "cache") as store:
        verify(store, repair=True)
        assert verify(store).findings == []


def test_a_lost_blob_is_told_with_its_action(built):
    for path in built.root.glob(f"cache/cas/*/{BLOB}"):
        flip(path)
    checked = built.run("cache", "verify")
    assert checked.code == 3
    assert "its bytes are not those of its SHA-256 (//p:loud shout)" in checked.out
    assert "error AX907: " in checked.err
    assert "cache verify --repair" in checked.err
    repaired = built.run("cache", "verify", "--repair")
    assert (repaired.code, "removed; it is made again when it is needed" in repaired.out) == (0, True)
    assert built.run("cache", "verify").code == 0


# -- a cache that somebody tampered with -------------------------------------------------------------


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_in_any_table_of_the_database_is_not_executed(built, tmp_path):
    bomb = pickle.dumps(Bomb(tmp_path / "exploded"))
    file = built.root / "cache/results/cache.db"
    (built.root / "cache/results/bomb.val").write_bytes(bomb)
    with sqlite3.connect(file) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert {"Cache", "Settings"} <= set(tables)
        database.execute("UPDATE Cache SET mode = 4, value = ?", (bomb,))
        for number, (mode, filename) in enumerate(((4, None), (3, "bomb.val"), (4, "bomb.val"), (1, "bomb.val"))):
            database.execute(
                "INSERT INTO Cache (key, raw, mode, filename, value, store_time) VALUES (?, 0, ?, ?, ?, 0)",
                (bomb + bytes([number]), mode, filename, bomb),
            )
        for name in ("disk_pickle_protocol", "disk_bomb", "planted"):
            database.execute("INSERT OR REPLACE INTO Settings VALUES (?, ?)", (name, bomb))
        if "sqlite_sequence" in tables:
            database.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (bomb, bomb))
    database.close()
    shutil.rmtree(built.root / "axbuild-out")
    for words in (
        ("build", *TARGETS),
        ("cache", "stats"),
        ("cache", "gc", "--max_age_days", "1"),
        ("cache", "verify", "--repair"),
        ("why", "//p:both"),
    ):
        done = built.run(*words)
        said_clearly(done)
        assert done.code == 0, f"{words}: {done.err}"
    outputs_are(built)
    assert not (tmp_path / "exploded").exists()
    assert built.run("cache", "verify").code == 0


# -- a disk that refuses -----------------------------------------------------------------------------

MORTAL = """
import ctypes, os, resource, signal, sys
# Give up what lets root write where it may not.
ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if sys.argv[1] != "-":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
sys.argv[1:] = sys.argv[2:]
from axbuild.cli.entry import main
main()
"""


def run_mortal(tiny: Tiny, *words: str, limit: str = "-"):
    done = subprocess.run(
        [sys.executable, "-c", MORTAL, limit, *words], cwd=tiny.root, capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "AX900" not in done.stderr, done.stderr
    return done


FOLDERS = ("cache", "cache/cas", "cache/results", "cache/workspaces/*", "axbuild-out", "axbuild-out/.axbuild")


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_that_may_not_be_written_is_told_and_harms_nothing(built, folder):
    built.edit("p/a.txt", "hello", "good day")
    frozen = [top for path in built.root.glob(folder) for top in (path, *(p for p in path.rglob("*") if p.is_dir()))]
    assert frozen
    modes = {path: path.stat().st_mode for path in frozen}
    for path in frozen:
        path.chmod(0o555)
    done = run_mortal(built, "build", *TARGETS)
    for path, mode in modes.items():
        path.chmod(mode)
    if done.returncode:
        assert done.returncode == 3
        assert re.search(r"error AX(902: .*the cache in|950: .*the outputs in) .* cannot be written: ", done.stderr)
    again = built.build(*TARGETS)
    assert again.code == 0, again.err
    outputs_are(built, **{"axbuild-out/p/both/text": "GOOD DAY! my world"})
    assert built.run("cache", "verify").code == 0


def test_questions_are_answered_from_a_cache_that_may_not_be_written(built):
    built.edit("p/a.txt", "hello", "good day")
    folders = [built.root / "cache", *(path for path in (built.root / "cache").rglob("*") if path.is_dir())]
    modes = {path: path.stat().st_mode for path in folders}
    for path in folders:
        path.chmod(0o555)
    questions = (("build", "-n", *TARGETS), ("why", "//p:both"), ("cache", "stats"), ("cache", "verify"), ("info",))
    planned, why, stats, verdict, info = (run_mortal(built, *words) for words in questions)
    for path, mode in modes.items():
        path.chmod(mode)
    told = (planned, why, stats, verdict, info)
    assert [done.returncode for done in told] == [0] * 5, [done.stderr for done in told]
    assert "would run 1" in planned.stdout
    assert planned.stderr.startswith("//p:a strip would run: p/a.txt changed: ")
    assert "//p:a strip  p/a.txt changed: " in why.stdout
    assert re.search(r"^//p:both +2 ", stats.stdout, re.MULTILINE)
    assert "0 builds under way" in stats.stdout
    assert verdict.stdout.endswith(": all is well\n")


@pytest.mark.parametrize("limit", [0, 1000, 33000])
def test_a_full_disk_ends_with_3_and_the_next_build_goes_on(tiny, limit):
    """No file may grow beyond the limit; that is told as a full disk is."""
    done = run_mortal(tiny, "build", *TARGETS, limit=str(limit))
    if done.returncode:
        assert done.returncode == 3, done.stderr
        # sqlite tells a limit on a file's size, unlike a disk that is full, as a failing disk.
        assert "no space left" in done.stderr or "disk I/O error" in done.stderr
    else:
        outputs_are(tiny)
    again = tiny.build(*TARGETS)
    assert again.code == 0, again.err
    outputs_are(tiny)
    assert tiny.run("cache", "verify").code == 0


# -- clocks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-1e9, 0.0, 1e9])
def test_an_edit_is_seen_whatever_its_time_stamp_says(built, seconds):
    path = built.root / "p/a.txt"
    stamp = path.stat().st_mtime_ns + int(seconds * 1e9)
    os.utime(path, ns=(stamp, stamp))
    assert built.build(*TARGETS).executed == []
    path.write_text("# first\nHELLO")  # of the same size as before
    os.utime(path, ns=(stamp, stamp))
    done = built.build(*TARGETS)
    assert "strip" in done.executed
    outputs_are(built)
    path.write_text("# first\njello")
    os.utime(path, ns=(stamp, stamp))
    assert "strip" in built.build(*TARGETS).executed
    outputs_are(built, **{"axbuild-out/p/both/text": "JELLO! my world"})


SHIFTED = """
import os, time
shift = float(os.environ["SHIFT_SECONDS"])
real, real_ns = time.time, time.time_ns
time.time, time.time_ns = lambda: real() + shift, lambda: real_ns() + int(shift * 1e9)
"""


@pytest.mark.parametrize("years", [-20, 20])
def test_a_clock_that_jumps_between_builds_loses_nothing(built, tmp_path, years):
    (tmp_path / "sitecustomize.py").write_text(SHIFTED)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    shifted = {"PYTHONPATH": path, "SHIFT_SECONDS": str(years * 365 * 86400)}
    assert built.build(*TARGETS, **shifted).executed == []
    built.edit("p/a.txt", "hello", "good day")
    done = built.build(*TARGETS, **shifted)
    assert sorted(done.executed) == ["join", "look", "measure", "shout", "strip"]
    built.edit("p/a.txt", "good day", "hello")
    back = built.build(*TARGETS)
    assert (back.code, back.executed) == (0, []), "what was made before the jump is still there"
    outputs_are(built)


# -- several at once ---------------------------------------------------------------------------------


def build_at_once(*trees: Tiny, **environment: str) -> list[list[str]]:
    """What each of the builds executed."""
    logs = [tree.root.parent / f"{number}.jsonl" for number, tree in enumerate(trees)]
    clients = [
        tree.start("build", *TARGETS, "--events", str(log), **environment)
        for tree, log in zip(trees, logs, strict=True)
    ]
    for client in clients:
        _, err = client.communicate(timeout=60)
        assert client.returncode == 0, err
    return [[label + name for label, name in kill.executed(kill.read_events(log))] for log in logs]


def test_builds_of_two_work_trees_on_one_cache_share_their_work(tmp_path):
    trees = Tiny(tmp_path / "one"), Tiny(tmp_path / "two")
    for number in range(4):
        for tree in trees:
            tree.write("p/a.txt", f"# first\nhello {number}")
        first, second = build_at_once(*trees, AXBUILD_CACHE_DIR=str(tmp_path / "cache"))
        assert not set(first) & set(second), "an action runs in one of them"
        for tree in trees:
            outputs_are(tree, **{"axbuild-out/p/both/text": f"HELLO {number}! my world"})
    assert len(list((tmp_path / "cache/workspaces").iterdir())) == 2


def test_two_builds_of_one_workspace_at_once_leave_one_right_answer(tmp_path):
    tree = Tiny(tmp_path / "ws")
    for number in range(4):
        tree.write("p/a.txt", f"# first\nhello {number}")
        first, second = build_at_once(tree, tree)
        assert not set(first) & set(second)
        outputs_are(tree, **{"axbuild-out/p/both/text": f"HELLO {number}! my world"})


def test_a_cache_that_is_always_full_costs_time_and_never_a_result(tmp_path):
    trees = Tiny(tmp_path / "one"), Tiny(tmp_path / "two")
    tiny_cache = {"AXBUILD_CACHE_DIR": str(tmp_path / "cache"), "AXBUILD_CACHE_SIZE_GB": "1e-7"}
    for number in range(4):
        for tree in trees:
            tree.write("p/b.txt", f"my world of {'x' * 4 * number}")
        build_at_once(*trees, **tiny_cache)
        for tree in trees:
            assert tree.read("axbuild-out/p/both/text") == f"HELLO! my world of {'x' * 4 * number}"
    # While two build, what either may count on stays; the next one alone collects.
    trees[0].write("p/b.txt", "my world alone")
    assert trees[0].build(*TARGETS, **tiny_cache).code == 0
    first = hashlib.sha256(b"HELLO! my world of ").hexdigest()
    assert not (tmp_path / "cache/cas" / first[:2] / first).exists(), "it was collected"


def test_results_of_a_cache_that_may_only_be_read_are_taken_and_new_ones_kept_here(built, tmp_path):
    theirs = built.root / "cache"
    before = {path: path.stat().st_mtime_ns for path in theirs.rglob("*")}
    other = Tiny(tmp_path / "other")
    done = other.build(*TARGETS, AXBUILD_CACHE_READ_FROM=str(theirs))
    assert set(done.statuses.values()) == {"cached"}
    outputs_are(other)
    other.edit("p/a.txt", "hello", "good day")
    done = other.build(*TARGETS, AXBUILD_CACHE_READ_FROM=str(theirs))
    assert sorted(done.executed) == ["join", "look", "measure", "shout", "strip"]
    assert {path: path.stat().st_mtime_ns for path in theirs.rglob("*")} == before
    missing = other.build(*TARGETS, AXBUILD_CACHE_READ_FROM="nowhere", _AXBUILD_NO_SNAPSHOT="1")
    assert missing.code == 0
    other.edit("p/a.txt", "good day", "bye")
    told = other.build(*TARGETS, AXBUILD_CACHE_READ_FROM="nowhere", _AXBUILD_NO_SNAPSHOT="1")
    assert (told.code, "AX909" in told.err) == (0, True)


# -- stages that misbehave ---------------------------------------------------------------------------


def test_a_stage_that_leaks_state_gives_the_twentieth_time_what_it_gave_the_first(tiny):
    """Its globals, the environment, the folder and patched library functions are those of a fresh process each time."""
    leaks = (
        "import os, json, builtins; global COUNT; COUNT = globals().get('COUNT', 0) + 1;"
        "os.environ['LEAK'] = os.environ.get('LEAK', '') + 'x';"
        "builtins.leaked = getattr(builtins, 'leaked', 0) + 1; json.leaked = getattr(json, 'leaked', 0) + 1;"
        "state = f\"{COUNT} {os.environ['LEAK']} {builtins.leaked} {json.leaked} {len(os.listdir('.'))}\";"
        "os.chdir(os.environ['HOME']); open('left', 'w').close();"
    )
    tiny.edit("rules/shout_stages.py", "    words = text", f"    {leaks}\n    words = text")
    tiny.edit("rules/shout_stages.py", "words.upper() + params.mark", "state")
    tiny.write("p/b.txt", " ".join(f"w{number}" for number in range(20)))
    assert tiny.build("//p:words", "--jobs", "1").executed.count("shout") == 20
    said = {tiny.read(f"axbuild-out/p/words/words/w{number}.txt") for number in range(20)}
    assert len(said) == 1
    assert said.pop().startswith("1 x 1 1 ")


# -- kills -------------------------------------------------------------------------------------------


def test_what_runs_after_a_kill_is_what_had_not_finished_before_it(tmp_path):
    played = kill.run(10, seed=1, folder=tmp_path, packages=1)
    assert [(one.number, one.killed, one.wrong) for one in played if one.wrong] == []
    assert any(one.before for one in played)


def test_the_page_of_kills_says_what_really_happens():
    chosen = [phase for phase in phases.PHASES if phase.name in CHOSEN]
    assert len(chosen) == len(CHOSEN)
    page = phases.PAGE.read_text().splitlines()
    for row in phases.render(phases.play(chosen)).splitlines():
        assert row in page
    assert "🔴 |" not in "".join(page[20:])


CHOSEN = (
    "filling an action's scratch folder",
    "a stage running; the client is killed",
    "storing two outputs: one is a blob",
    "publishing outputs: one is in place",
    "collecting: some files are gone",
)
