"""Workers: real processes that fork, misbehave, and are really killed."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from axbuild.codes import exit_code_of
from axbuild.engine.code.closure import Code
from axbuild.engine.workers import child
from axbuild.engine.workers.guard import Finder
from axbuild.engine.workers.local import StageBounds, StageRun, Workers
from axbuild.engine.workers.preload import View
from axbuild.errors import AxError


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pids, seconds=5.0):
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.01)
    return not any(alive(pid) for pid in pids)


def test_a_stage_gets_role_paths_and_its_own_params(bench, tmp_path):
    for name in ("a", "b0", "b1"):
        (bench.root / "scratch" / name).write_text(name)
    job = bench.job(
        "show", {"number": 3, "points": [{"x": 1}, {"x": 2, "y": 1}], "named": {"k": [1, 2]}, "maybe": None}
    )
    for name in ("a", "b0", "b1"):
        (job.scratch / name).write_text(name)
    inputs = {"a": f"{job.scratch}/a", "b": [f"{job.scratch}/b0", f"{job.scratch}/b1"]}
    bench.workers.submit(StageRun(job.id, job.stage, job.closure, job.params, inputs, job.scratch))
    [outcome] = bench.workers.wait(30)
    assert outcome.ok, outcome
    assert (job.scratch / "out" / "o").read_text() == (
        "a|b0|b1|Params(text='', number=3, points=(Point(x=1, y=0.5), Point(x=2, y=1.0)), "
        "named={'k': (1, 2)}, maybe=None)"
    )


def test_a_stage_without_params_gets_none(bench):
    assert bench.text("no_params") == "plain"


def test_every_run_starts_clean(bench):
    assert [bench.text("count") for _ in range(20)] == ["1 1"] * 20


def test_a_stage_sees_a_world_of_its_own(bench, monkeypatch):
    monkeypatch.setenv("SECRET", "1")
    lines = bench.text("world").splitlines()
    assert lines[1:6] == ["TZ=UTC", "LC_ALL=C.UTF-8", "PYTHONHASHSEED=0", "OMP_NUM_THREADS=1", "SECRET=None"]
    assert lines[6:9] == [str(bench.scratch), str(bench.scratch / "tmp"), str(bench.scratch)]
    assert bench.text("world").splitlines()[9] == lines[9]


def test_strings_hash_alike_in_every_zygote(bench, own_bench):
    assert bench.text("world").splitlines()[9] == own_bench.text("world").splitlines()[9]


def test_warnings_become_diagnostics_each_time_they_are_given(bench):
    for _ in range(2):
        outcome = bench.run("warn")
        assert outcome.diagnostics == ({"code": "AX301", "sentence": "careful"},) * 2


def test_an_error_of_axbuild_crosses_whole(bench):
    outcome = bench.run("refuse")
    assert not outcome.ok
    error = AxError.from_record(outcome.error)
    assert (error.code, error.sentence, error.hint, exit_code_of(error.code)) == (
        "AX906",
        "the model is bad",
        "mend it",
        2,
    )
    assert str(error.place) == "m.onnx:3"


def test_any_other_error_names_the_stage_and_the_line(bench):
    outcome = bench.run("crash")
    error = AxError.from_record(outcome.error)
    assert error.sentence == "stage 'crash' failed: ValueError: no good"
    assert exit_code_of(error.code) == 1
    assert error.place.file == "rules/stages.py"
    assert error.place.text == 'raise ValueError("no good")'
    assert "in inner <- rules/stages.py" in error.hint
    assert outcome.log.startswith("about to crash\nTraceback")


def test_a_disk_that_is_full_for_a_stage_is_no_fault_of_the_stage(bench):
    outcome = bench.run("reach", {"text": "raise OSError(28, 'No space left on device')"})
    assert outcome.error["code"] == "AX901"
    assert exit_code_of(outcome.error["code"]) == 3


@pytest.mark.parametrize("raised", ["ValueError('array write failed')", "AxError('no model')", "SystemExit('enough')"])
def test_the_disk_itself_is_asked_where_a_library_hides_that_it_is_full(bench, raised):
    limit = (
        "import resource as r; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); r.setrlimit(r.RLIMIT_FSIZE, (8192,) * 2)"
    )
    outcome = bench.run("reach", {"text": f"{limit}; raise {raised}"})
    assert (outcome.error["code"], outcome.error["sentence"]) == (
        "AX901",
        "no space left on the disk while stage 'reach' ran",
    )


def test_a_stage_that_ends_its_process_has_failed(bench):
    assert bench.run("leave").error["sentence"] == "stage 'leave' failed: SystemExit: enough"
    outcome = bench.run("vanish")
    assert outcome.error["code"] == "AX551"
    assert "ended by itself with status 7" in outcome.error["sentence"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_killed_stage_is_told_with_its_signal_and_memory(bench, number):
    outcome = bench.run("die", {"number": number})
    assert not outcome.ok
    assert outcome.signal == number
    assert outcome.error["code"] == "AX551"
    assert f"killed by {number.name}" in outcome.error["sentence"]
    assert outcome.peak_memory_bytes > 64 << 20
    assert exit_code_of(outcome.error["code"]) == 1
    assert bench.text("say", {"text": "still there"}) == "still there"


def test_a_stage_killed_from_outside_is_told_and_the_others_go_on(bench):
    slow, other = bench.job("sleep", {"number": 60}), bench.job("sleep", {"number": 0})
    bench.workers.submit(slow)
    bench.workers.submit(other)
    [first] = bench.workers.wait(30)
    assert first.id == other.id
    pid = bench.workers._running[slow.id][1]
    os.kill(pid, signal.SIGKILL)
    [second] = bench.workers.wait(30)
    assert (second.id, second.ok, second.signal, second.pid) == (slow.id, False, signal.SIGKILL, pid)


def test_a_stage_is_stopped_at_its_limit(bench):
    begin = time.monotonic()
    outcome = bench.run("sleep", {"number": 60}, bounds=StageBounds(seconds=0.3))
    assert 0.25 < time.monotonic() - begin < 20
    assert outcome.error["code"] == "AX552"
    assert outcome.error["sentence"].startswith("stage 'sleep' was stopped after its limit of 0.3 s")
    assert outcome.error["hint"] == ""


def test_a_stage_is_stopped_at_its_limit_of_memory_and_others_go_on(own_bench):
    bounds = StageBounds(memory_bytes=2**29, name="optimize")
    large = own_bench.job("fill", {"number": 750}, bounds=bounds)
    small = own_bench.job("fill", {"number": 1}, bounds=bounds)
    begin = time.monotonic()
    own_bench.workers.submit(small)
    own_bench.workers.submit(large)
    [outcome] = own_bench.workers.wait(30)
    assert time.monotonic() - begin < 20
    assert (outcome.id, outcome.error["code"]) == (large.id, "AX552")
    assert re.fullmatch(
        r"stage 'fill' was stopped after \d+\.\d s at its limit of 0.5 GB of memory", outcome.error["sentence"]
    )
    assert outcome.error["hint"] == "raise `optimize_memory_gb` under [resources] in axbuild.toml"
    own_bench.workers.cancel(small.id)


def test_a_job_taken_back_is_stopped_running_or_waiting(own_bench):
    jobs = [own_bench.job("sleep", {"number": 60}) for _ in range(6)]  # four run, two wait
    for job in jobs:
        own_bench.workers.submit(job)
    for job in jobs:
        own_bench.workers.cancel(job.id)
    ended = []
    while len(ended) < len(jobs):
        ended += own_bench.workers.wait(30)
    assert {outcome.error["code"] for outcome in ended} == {"AX561"}
    assert own_bench.workers.wait(0) == []


def test_no_more_run_at_once_than_there_are_jobs(own_bench):
    jobs = [own_bench.job("sleep", {"number": 60}) for _ in range(6)]
    for job in jobs:
        own_bench.workers.submit(job)
    assert own_bench.workers.wait(0.5) == []
    assert len(own_bench.workers._running) == 4


def test_waiting_ends_in_time_and_with_nothing_to_wait_for(bench):
    assert bench.workers.wait() == []
    job = bench.job("sleep", {"number": 60})
    bench.workers.submit(job)
    begin = time.monotonic()
    assert bench.workers.wait(0.1) == []
    assert time.monotonic() - begin < 5
    bench.workers.cancel(job.id)
    assert [one.id for one in bench.workers.wait(30)] == [job.id]


@pytest.mark.parametrize(
    ("function", "outputs", "said"),
    [
        ("nothing", ("o",), "did not write its output 'o'"),
        ("too_much", ("o",), "wrote 'surprise', which it does not declare"),
        ("tree", ("t",), "did not write its output 't'"),
        ("say", ("o/",), "did not write its output 'o/'"),
        ("link", ("o",), "'o' is not a plain file or folder"),
    ],
)
def test_exactly_the_declared_outputs_must_be_there(bench, function, outputs, said):
    outcome = bench.run(function, outputs=outputs)
    assert outcome.error["code"] == "AX553"
    assert said in outcome.error["sentence"]


def test_an_expansion_must_write_its_children(bench):
    outcome = bench.run("say", expands=True)
    assert "did not write its output 'expansion.json'" in outcome.error["sentence"]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"numbr": 1}, "Params has no field numbr"),
        ({"number": "1"}, "params.number is '1', where the stage declares int"),
        ({"number": True}, "params.number is True"),
        ({"points": [{"y": 1}]}, "params.points[0]: Point needs x"),
        ({"maybe": "x"}, "params.maybe is 'x'"),
    ],
)
def test_params_that_do_not_fit_are_told(bench, params, said):
    outcome = bench.run("say", params)
    assert outcome.error["code"] == "AX558"
    assert said in outcome.error["sentence"]


def test_params_for_a_stage_that_takes_none_are_told(bench):
    assert "takes no params" in bench.run("no_params", {"a": 1}).error["sentence"]


@pytest.mark.parametrize("function", ["gone", "NOT_A_FUNCTION"])
def test_a_function_that_is_not_there_is_told(bench, function):
    outcome = bench.run(function)
    assert outcome.error["code"] == "AX558"
    assert f"has no function '{function}'" in outcome.error["sentence"]


def test_code_that_changes_under_a_build_is_an_error(own_bench):
    own_bench.write("moving", "def run(out):\n    (out / 'o').write_text('1')\n")
    job = own_bench.job("moving:run")
    own_bench.write("moving", "def run(out):\n    (out / 'o').write_text('2')\n")
    own_bench.workers.submit(job)
    [outcome] = own_bench.workers.wait(30)
    assert outcome.error["code"] == "AX555"
    assert "moving.py, code of stage 'run', changed while the build ran" in outcome.error["sentence"]


def test_what_runs_is_what_the_closure_says_even_after_an_edit(own_bench):
    own_bench.write("moving", "def run(out):\n    (out / 'o').write_text('1')\n")
    assert own_bench.text("moving:run") == "1"
    own_bench.write("moving", "def run(out):\n    (out / 'o').write_text('2')\n")
    assert own_bench.text("moving:run") == "1"
    own_bench.code = Code(rules=own_bench.root / "rules")
    assert own_bench.text("moving:run") == "2"


def test_a_stage_of_axbuild_itself_runs_from_its_closure(bench):
    outcome = bench.run("axbuild.toolchain.quant.merge:merge", inputs={"parts": []}, outputs=("statistics.msgpack",))
    assert outcome.error["sentence"] == "there are no statistics to merge", outcome


def test_a_zygote_that_dies_fails_its_jobs_and_is_replaced(own_bench):
    job = own_bench.job("sleep", {"number": 60})
    own_bench.workers.submit(job)
    own_bench.workers.wait(0.5)
    _, pid = own_bench.workers._running[job.id]
    os.kill(own_bench.workers._zygote.process.pid, signal.SIGKILL)
    [outcome] = own_bench.workers.wait(30)
    assert outcome.error["code"] == "AX556"
    assert "killed by SIGKILL" in outcome.error["sentence"]
    assert exit_code_of(outcome.error["code"]) == 3
    assert gone([pid])
    assert own_bench.text("say", {"text": "again"}) == "again"


def test_what_had_finished_before_a_zygote_died_is_not_lost(own_bench):
    job = own_bench.job("say", {"text": "done"})
    own_bench.workers.submit(job)
    while not (job.scratch / "out" / "o").exists():
        time.sleep(0.01)
    time.sleep(0.1)
    own_bench.workers._zygote.process.kill()
    own_bench.workers._zygote.process.wait()
    lost = own_bench.job("say")
    own_bench.workers.submit(lost)
    ended = {outcome.id: outcome.ok for outcome in own_bench.workers.wait(30)}
    assert ended == {job.id: True, lost.id: False}


def test_a_process_that_cannot_be_made_fails_its_action_alone(own_bench):
    assert own_bench.text("say", {"text": "x"}) == "x"
    pid = own_bench.workers._zygote.process.pid
    limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    slow = own_bench.job("sleep", {"number": 60})
    own_bench.workers.submit(slow)
    assert own_bench.workers.wait(0.3) == []
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, limit[1]))
    outcome = own_bench.run("say")
    assert outcome.error["code"] == "AX556"
    assert "no process could be made for stage 'say'" in outcome.error["sentence"]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
    assert own_bench.text("say", {"text": "again"}) == "again"
    assert slow.id in own_bench.workers._running


def test_an_interpreter_that_cannot_start_is_told(own_bench, monkeypatch):
    workers = Workers(1, workspace=own_bench.root, store=own_bench.root)
    monkeypatch.setattr(sys, "executable", "/no/python")
    with pytest.raises(AxError, match="cannot be started") as error:
        workers.submit(own_bench.job("say"))
    assert exit_code_of(error.value.code) == 3
    workers.close()


def test_closing_kills_everything(own_bench):
    job = own_bench.job("sleep", {"number": 60})
    own_bench.workers.submit(job)
    own_bench.workers.wait(0.5)
    pids = [own_bench.workers._zygote.process.pid, own_bench.workers._running[job.id][1]]
    assert all(alive(pid) for pid in pids)
    own_bench.workers.close()
    assert gone(pids)


CLIENT = """
import sys
from pathlib import Path
from axbuild.engine.code.closure import Code
from axbuild.engine.workers import child
from axbuild.engine.workers.guard import Finder
from axbuild.engine.workers.local import StageBounds, StageRun, Workers
from axbuild.store.scratch import Scratches
from axbuild.workspace.stage import Stage
root = Path(sys.argv[1])
stage = Stage("./stages.py:sleep", outputs=("o",))
closure = Code(rules=root / "rules").closure(stage)
workers = Workers(2, workspace=root, store=root / "cache")
scratch = Scratches(root / "scratch").new("mine")
workers.submit(StageRun("1", stage, closure, {"number": 60}, {}, scratch))
workers.wait(0.5)
print(workers._zygote.process.pid, workers._running["1"][1], flush=True)
workers.wait()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_the_client(own_bench, number):
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(own_bench.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    pids = [int(text) for text in client.stdout.readline().split()]
    assert len(pids) == 2
    assert all(alive(pid) for pid in pids)
    client.send_signal(number)
    client.communicate()
    assert gone(pids)


def test_large_messages_pass_in_both_directions(own_bench):
    text = "x" * 300_000
    jobs = [own_bench.job("crash" if number % 2 else "say", {"text": text}) for number in range(20)]
    for job in jobs:
        own_bench.workers.submit(job)
    ended = []
    while len(ended) < len(jobs):
        ended += own_bench.workers.wait(30)
    assert sum(outcome.ok for outcome in ended) == 10


@pytest.mark.parametrize(("module", "code"), [("axbuild.toolchain.quant.merge", 3), ("_rules_workspace.stages", 1)])
def test_an_unexpected_error_is_a_defect_where_the_stage_is_ours(module, code):
    record = child._record(KeyError("x"), module, "merge", View({}, frozenset(), (), {}, frozenset()), Finder())
    assert record["sentence"] == "stage 'merge' failed: KeyError: 'x'"
    assert exit_code_of(record["code"]) == code
