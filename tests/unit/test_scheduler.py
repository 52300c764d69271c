import json

import pytest

from axbuild.engine.records.events import Diagnostic
from axbuild.engine.run.nodes import Goal
from axbuild.errors import AxError
from axbuild.store.faults import BlobLost
from axbuild.workspace.artifact import Entry, Result, SourceFiles, Tree
from memory_world import Build, MemoryWorld, action, out, source


class Broken(AxError):
    code = "AX900"


def upper(inputs, params):
    return {"out": inputs["text"].upper()}


def strip(inputs, params):
    return {"out": inputs["text"].split(b"#")[0].strip()}


def join(inputs, params):
    return {"out": params.get("by", "").encode().join(inputs["parts"])}


def broken(inputs, params):
    raise Broken("it broke")


@pytest.fixture
def world():
    world = MemoryWorld()
    world.sources = {"a.txt": b"a", "b.txt": b"b"}
    return world


@pytest.fixture
def chain(world):
    """strip -> upper -> join(upper, b.txt)"""
    return [
        action("strip", world.stage("m.strip:strip", strip, outputs=("out",)), text=source("a.txt")),
        action("upper", world.stage("m.upper:upper", upper, outputs=("out",)), text=out("strip")),
        action(
            "join",
            world.stage("m.join:join", join, outputs=("out",)),
            parts=(out("upper"), source("b.txt")),
            params={"by": "-"},
        ),
    ]


def content(world, build, name):
    return world.blobs[build.scheduler.done[("//t", name)].outputs["out"]]


def test_a_first_build_runs_everything_in_order(world, chain):
    build = Build(world, chain, [out("join")])
    assert build.executed == ["strip", "upper", "join"]
    assert content(world, build, "join") == b"A-b"
    assert set(build.reasons.values()) == {"never built in this workspace"}


def test_a_second_build_runs_nothing(world, chain):
    Build(world, chain, [out("join")])
    again = Build(world, chain, [out("join")])
    assert again.status == dict.fromkeys(("strip", "upper", "join"), "up_to_date")
    assert again.started == []


def test_an_output_that_came_out_unchanged_stops_the_rebuild(world, chain):
    Build(world, chain, [out("join")])
    world.sources["a.txt"] = b"a # a comment"
    again = Build(world, chain, [out("join")])
    assert again.status == {"strip": "executed", "upper": "up_to_date", "join": "up_to_date"}
    assert again.reasons["strip"].startswith("a.txt changed: ca978112ca1b -> ")


def test_a_parameter_reruns_its_action_only_and_is_named(world, chain):
    Build(world, chain, [out("join")])
    chain[2].params["by"] = "+"
    again = Build(world, chain, [out("join")])
    assert again.executed == ["join"]
    assert again.reasons["join"] == 'parameter by: "-" -> "+"'


def test_code_of_a_stage_reruns_that_stage_and_not_its_neighbours(world, chain):
    Build(world, chain, [out("join")])
    world.code["m.upper"] = "1"
    again = Build(world, chain, [out("join")])
    assert again.status == {"strip": "up_to_date", "upper": "executed", "join": "up_to_date"}
    assert again.reasons["upper"] == "code m.upper changed: 0 -> 1"


def test_what_another_workspace_built_is_cached_not_up_to_date(world, chain):
    Build(world, chain, [out("join")])
    world.lasts.clear()
    again = Build(world, chain, [out("join")])
    assert set(again.status.values()) == {"cached"}


def test_only_what_is_wanted_is_built(world, chain):
    assert Build(world, chain, [out("strip")]).executed == ["strip"]


def test_a_missing_blob_reruns_its_action_and_is_named(world, chain):
    first = Build(world, chain, [out("join")])
    lost = first.scheduler.done[("//t", "upper")].outputs["out"]
    del world.blobs[lost]
    again = Build(world, chain, [out("join")])
    assert again.executed == ["upper"]
    assert again.reasons["upper"] == f"stored output out ({lost[:12]}) is missing"


def test_a_blob_lost_while_building_is_made_again_and_the_build_goes_on(world, chain):
    first = Build(world, chain, [out("join")])
    lost = first.scheduler.done[("//t", "upper")].outputs["out"]
    world.sources["b.txt"] = b"c"
    looked = []
    find = world.find

    def find_then_lose(key, stage):
        found = find(key, stage)
        looked.append(key)
        if len(looked) == 3:
            del world.blobs[lost]  # after `upper` was found whole, before `join` reads it
        return found

    world.find = find_then_lose
    again = Build(world, chain, [out("join")])
    assert again.executed == ["upper", "join"]
    assert content(world, again, "join") == b"A-c"


def test_two_readers_of_a_lost_blob_wait_for_one_remake(world):
    stage = world.stage("m.upper:upper", upper, outputs=("out",))
    make = action("make", stage, text=source("a.txt"))
    readers = [action(name, world.stage(f"m.{name}:upper", upper, outputs=("out",)), text=out("make")) for name in "xy"]
    first = Build(world, [make, *readers], [out("x"), out("y")])
    lost = first.scheduler.done[make.id].outputs["out"]
    world.code = {"m.x": "1", "m.y": "1"}
    start, looked = world.start, []

    def lose_then_start(running, key, inputs):
        if not looked:
            del world.blobs[lost]
        looked.append(running.id)
        start(running, key, inputs)

    world.start = lose_then_start
    again = Build(world, [make, *readers], [out("x"), out("y")])
    assert again.executed == ["make", "x", "y"]
    assert again.reasons["make"] == f"stored output out ({lost[:12]}) is missing"
    assert {again.reasons["x"], again.reasons["y"]} == {"code m.x changed: 0 -> 1", "code m.y changed: 0 -> 1"}


def test_an_expansion_whose_children_file_is_lost_runs_again(world, expanding):
    actions, stages = expanding
    Build(world, actions, [out("fuse")], stages=stages)
    read, lost = world.read, []

    def lose_once(digest_):
        if not lost and world.blobs[digest_].startswith(b'{"children"'):
            lost.append(digest_)
            del world.blobs[digest_]
        return read(digest_)

    world.read = lose_once
    again = Build(world, actions, [out("fuse")], stages=stages)
    assert again.executed == ["split"]
    assert again.reasons["split"] == f"stored output expansion.json ({lost[0][:12]}) is missing"


def test_a_blob_that_is_lost_again_and_again_ends_the_build(world, chain):
    Build(world, chain, [out("upper")])
    world.code["m.upper"] = "1"

    def always_lost(running, key, inputs):
        raise BlobLost(first, "is missing")

    first = world.results[world.last(("//t", "strip"))].outputs["out"]
    start = world.start
    world.start = lambda running, *rest: (always_lost if running.id[1] == "upper" else start)(running, *rest)
    build = Build(world, chain, [out("upper")])
    assert "failed" in build.status.values()
    assert build.scheduler.errors[0].sentence == f"blob {first[:16]} of the cache is missing"


def test_equal_keys_in_flight_run_once(world):
    stage = world.stage("m.upper:upper", upper, outputs=("out",))
    twins = [action(name, stage, text=source("a.txt")) for name in ("one", "two")]
    build = Build(world, twins, [out("one"), out("two")])
    assert build.status == {"one": "executed", "two": "cached"}
    assert len(world.started) == 1


def test_a_key_that_another_build_runs_is_waited_for_and_taken(world, chain):
    first = Build(world, chain, [out("strip")])
    key = first.finished[0].key
    stored = world.results.pop(key)
    world.held.add(key)
    waits = []

    def other_build_finishes():
        waits.append(1)
        if len(waits) == 3:
            world.results[key] = stored
            world.held.clear()

    world.while_waiting = other_build_finishes
    again = Build(world, chain, [out("strip")])
    assert (again.executed, len(waits)) == ([], 3)
    assert again.status == {"strip": "up_to_date"}


def test_locks_are_all_released(world, chain):
    chain.append(action("bad", world.stage("m.bad:bad", broken, outputs=("out",)), text=source("a.txt")))
    Build(world, chain, [out("join"), out("bad")])
    assert world.held == set()


def test_a_failure_stops_the_build_and_skips_the_rest(world, chain):
    world.functions["m.upper:upper"] = broken
    build = Build(world, chain, [out("join")])
    assert build.status == {"strip": "executed", "upper": "failed", "join": "skipped"}
    assert build.reasons["join"] == "needs //t upper, which failed"
    assert [error.sentence for error in build.scheduler.errors] == ["it broke"]
    assert Build(world, chain, [out("join")]).status["upper"] == "failed", "failures are never stored"


def test_keep_going_builds_what_does_not_need_the_failure(world, chain):
    bad = action("bad", world.stage("m.bad:bad", broken, outputs=("out",)), text=source("a.txt"))
    after = action("after", chain[1].stage, text=out("bad"))
    actions = [bad, after, *chain]
    stopped = Build(world, actions, [out("after"), out("join")], total={"cpu": 1})
    assert (stopped.status["bad"], stopped.executed) == ("failed", [])
    went_on = Build(world, actions, [out("after"), out("join")], total={"cpu": 1}, keep_going=True)
    assert went_on.executed == ["strip", "upper", "join"]
    assert went_on.status["after"] == "skipped"


def test_a_missing_source_fails_its_action(world, chain):
    del world.sources["a.txt"]
    assert Build(world, chain, [out("join")]).status["strip"] == "failed"


def test_preflights_run_before_everything_they_do_not_need(world, chain):
    check = action("check", world.stage("m.c:check", upper, outputs=("out",)), text=out("strip"), preflight=True)
    slow = action("slow", chain[1].stage, text=source("b.txt"))
    goal = Goal("//t", (out("slow"), out("join")), preflights=(check.id,))
    build = Build(world, [*chain, slow, check], [goal], total={"cpu": 4})
    assert build.started[:2] == ["strip", "check"]
    assert set(build.started[2:]) == {"slow", "upper", "join"}


def test_a_preflight_that_another_build_has_just_made_opens_the_gate(world, chain):
    check = action("check", world.stage("m.c:check", upper, outputs=("out",)), text=out("strip"), preflight=True)
    goal = Goal("//t", (out("join"),), preflights=(check.id,))
    slow = action("slow", world.stage("m.s:slow", strip, outputs=("out",)), text=source("b.txt"))
    Build(world, [*chain, slow, check], [goal, Goal("//t:s", (out("slow"),))])
    key = world.lasts[check.id]
    stored = world.results.pop(key)
    del world.results[world.lasts[slow.id]]
    lock = world.lock

    def lock_late(wanted, action):
        if wanted == key:
            world.results[key] = stored  # between the first look and the lock
        return lock(wanted, action)

    world.lock = lock_late
    again = Build(world, [*chain, slow, check], [Goal("//t:s", (out("slow"),)), goal])
    assert again.executed == ["slow"]
    assert again.status["join"] == "up_to_date"


def test_a_failed_preflight_drops_its_own_goal_only(world, chain):
    check = action("check", world.stage("m.c:check", broken, outputs=("out",)), text=out("strip"), preflight=True)
    slow = action("slow", chain[1].stage, text=source("b.txt"))
    goals = [Goal("//t:a", (out("join"),), preflights=(check.id,)), Goal("//t:b", (out("slow"),))]
    build = Build(world, [*chain, slow, check], goals, keep_going=True)
    assert build.status == {
        "strip": "executed",
        "check": "failed",
        "slow": "executed",
        "upper": "skipped",
        "join": "skipped",
    }


def test_a_preflight_that_is_dropped_with_its_goal_keeps_no_other_goal_waiting(world, chain):
    broken_stage = world.stage("m.c:check", broken, outputs=("out",))
    checks = [action(name, broken_stage, text=out("strip"), preflight=True) for name in ("check", "same")]
    slow = action("slow", chain[1].stage, text=source("b.txt"))
    both = tuple(check.id for check in checks)
    goals = [Goal("//t:a", (out("join"),), preflights=both), Goal("//t:b", (out("slow"),))]
    build = Build(world, [*chain, slow, *checks], goals, keep_going=True)
    assert build.status["slow"] == "executed"
    assert build.status["join"] == "skipped"


def test_an_action_that_waits_for_many_is_looked_at_about_as_often_as_it_has_inputs(world):
    """By each input's end it was once looked at twice as often as by the one's before: thirty inputs took for ever."""
    count = 200
    stage = world.stage("m.upper:upper", upper, outputs=("out",))
    world.sources |= {f"{i}": b"a" for i in range(count)}
    uppers = [action(f"up{i}", stage, text=source(f"{i}"), params={"number": i}) for i in range(count)]
    join_stage = world.stage("m.join:join", join, outputs=("out",))
    joined = action("join", join_stage, parts=tuple(out(f"up{i}") for i in range(count)))
    build = Build(world, [*uppers, joined], [out("join")])
    assert content(world, build, "join") == b"A" * count
    assert len(build.executed) == count + 1


def test_resources_bound_what_runs_at_once(world):
    stage = world.stage("m.upper:upper", upper, outputs=("out",), resources={"gpu": 1})
    world.sources |= {f"{i}": b"%d" % i for i in range(6)}
    actions = [action(f"run{i}", stage, text=source(f"{i}")) for i in range(6)]
    wanted = [out(f"run{i}") for i in range(6)]
    Build(world, actions, wanted, total={"cpu": 8, "gpu": 2})
    assert world.most_at_once == 2


def test_a_need_above_the_total_runs_alone_and_an_unknown_one_is_an_error(world):
    big = world.stage("m.big:big", upper, outputs=("out",), resources={"memory_gb": 64})
    actions = [action("big", big, text=source("a.txt")), action("two", big, text=source("b.txt"))]
    assert Build(world, actions, [out("big"), out("two")], total={"cpu": 4, "memory_gb": 8}).executed == ["big", "two"]
    assert world.most_at_once == 1
    build = Build(MemoryWorld(), [], [])
    assert build.status == {}
    gpu = world.stage("m.gpu:gpu", upper, outputs=("out",), resources={"gpu": 1})
    failed = Build(world, [action("gpu", gpu, text=source("a.txt"))], [out("gpu")], total={"cpu": 4, "gpu": 0})
    assert failed.reasons["gpu"] == "//t: stage 'gpu' needs 1 gpu, and this machine offers none"


def test_reverse_order_gives_the_same_bytes(world):
    stage = world.stage("m.upper:upper", upper, outputs=("out",))
    world.sources |= {f"{i}": b"x%d" % i for i in range(4)}
    actions = [action(f"run{i}", stage, text=source(f"{i}")) for i in range(4)]
    wanted = [out(f"run{i}") for i in range(4)]
    build = Build(world, actions, wanted, total={"cpu": 1}, reverse=True)
    assert build.started == ["run3", "run2", "run1", "run0"]


def test_warnings_are_replayed_on_every_hit(world, chain):
    def warns(inputs, params):
        world.warn("AX300", "odd text")
        return {"out": inputs["text"]}

    world.functions["m.upper:upper"] = warns
    builds = [Build(world, chain, [out("join")]) for _ in range(3)]
    told = [[event for event in build.events if isinstance(event, Diagnostic)] for build in builds]
    assert [(len(events), events[0].sentence, events[0].replayed) for events in told] == [
        (1, "odd text", False),
        (1, "odd text", True),
        (1, "odd text", True),
    ]


def splitter(inputs, params):
    letters = inputs["text"].decode().split()
    children = [
        {"name": f"up_{i}", "stage": "m.upper:upper", "params": {}, "inputs": {"text": f"input:tree/{letter}"}}
        for i, letter in enumerate(letters)
    ]
    result = {f"{i}/{letter}": f"child:up_{i}/out" for i, letter in enumerate(letters)}
    return {"expansion.json": json.dumps({"children": children, "result": result}).encode()}


def joined(inputs, params):
    return {"out": b"".join(data for _, data in sorted(inputs["tree"].items()))}


@pytest.fixture
def expanding(world):
    world.sources = {"list": b"x y", "t/x": b"xx", "t/y": b"yy", "t/z": b"zz"}
    tree = SourceFiles((("x", "t/x"), ("y", "t/y"), ("z", "t/z")), tree=True)
    upper_stage = world.stage("m.upper:upper", upper, outputs=("out",))
    split = action("split", world.stage("m.split:split", splitter, expands=True), text=source("list"), tree=tree)
    fuse = action("fuse", world.stage("m.fuse:fuse", joined, outputs=("out",)), tree=Result(split.id))
    return [split, fuse], (upper_stage,)


def test_children_of_an_expansion_run_and_their_result_is_a_tree(world, expanding):
    actions, stages = expanding
    build = Build(world, actions, [out("fuse")], stages=stages)
    assert build.executed[0] == "split"
    assert set(build.executed[1:3]) == {"split/up_0", "split/up_1"}
    assert content(world, build, "fuse") == b"XXYY"


def test_an_expansion_that_yields_the_same_children_stops_there(world, expanding):
    actions, stages = expanding
    Build(world, actions, [out("fuse")], stages=stages)
    world.sources["list"] = b"x  y "
    again = Build(world, actions, [out("fuse")], stages=stages)
    assert again.executed == ["split"]
    world.sources["list"] = b"x y z"
    assert Build(world, actions, [out("fuse")], stages=stages).executed == ["split", "split/up_2", "fuse"]


def test_what_an_expansion_only_hands_on_is_neither_in_its_key_nor_laid_out(world, expanding):
    (_, fuse), stages = expanding
    tree = SourceFiles((("x", "t/x"), ("y", "t/y")), tree=True)
    seen = []

    def split(inputs, params):
        seen.append(sorted(inputs))
        return splitter(inputs, params)

    hands_on = world.stage("m.split:split", split, expands=True, hands_on=("tree",))
    actions = [action("split", hands_on, text=source("list"), tree=tree), fuse]
    assert content(world, Build(world, actions, [out("fuse")], stages=stages), "fuse") == b"XXYY"
    world.sources["t/y"] = b"new"
    again = Build(world, actions, [out("fuse")], stages=stages)
    assert again.executed == ["split/up_1", "fuse"]
    assert content(world, again, "fuse") == b"XXNEW"
    assert seen == [["text"]]


def test_one_entry_of_a_result_needs_only_its_own_child(world, expanding):
    (split, fuse), stages = expanding
    take = action("take", world.stage("m.take:take", upper, outputs=("out",)), text=Entry(Result(split.id), "1/y"))
    build = Build(world, [split, fuse, take], [out("take")], stages=stages)
    assert build.executed == ["split", "split/up_1", "take"]


def test_children_may_expand(world):
    def outer(inputs, params):
        child = {"name": "in", "stage": "m.inner:inner", "params": {}, "inputs": {"text": "input:text"}}
        return {"expansion.json": json.dumps({"children": [child], "result": {"r": "child:in"}}).encode()}

    def inner(inputs, params):
        child = {"name": "up", "stage": "m.upper:upper", "params": {}, "inputs": {"text": "input:text"}}
        return {"expansion.json": json.dumps({"children": [child], "result": {"deep": "child:up/out"}}).encode()}

    stages = (
        world.stage("m.upper:upper", upper, outputs=("out",)),
        world.stage("m.inner:inner", inner, expands=True),
    )
    top = action("top", world.stage("m.outer:outer", outer, expands=True), text=source("a.txt"))
    take = action("take", stages[0], text=Entry(Tree((("t", Result(top.id)),)), "t/r/deep"))
    build = Build(world, [top, take], [out("take")], stages=stages)
    assert build.executed == ["top", "top/in", "top/in/up", "take"]
    assert content(world, build, "take") == b"A"


def test_a_child_hangs_on_the_part_of_a_tree_that_it_names_and_on_nothing_else_of_it(world):
    def split(inputs, params):
        children = [
            {"name": "folder", "stage": "m.joined:joined", "params": {}, "inputs": {"tree": "input:tree/a/"}},
            {"name": "file", "stage": "m.upper:upper", "params": {}, "inputs": {"text": "input:tree/c"}},
        ]
        result = {"folder": "child:folder/out", "file": "child:file/out"}
        return {"expansion.json": json.dumps({"children": children, "result": result}).encode()}

    files = {"a/x": b"1", "a/y": b"2", "b": b"3", "c": b"c"}
    world.sources = {f"t/{name}": data for name, data in files.items()}
    stages = tuple(world.stage(f"m.{f.__name__}:{f.__name__}", f, outputs=("out",)) for f in (upper, joined))
    tree = SourceFiles(tuple((name, f"t/{name}") for name in files), tree=True)
    split_it = action("split", world.stage("m.split:split", split, expands=True), tree=tree)

    def ran():
        return Build(world, [split_it], [Result(split_it.id)], stages=stages)

    first = ran()
    assert first.executed == ["split", "split/folder", "split/file"]
    assert content(world, first, "split/folder") == b"12"
    for changed, reruns in {"b": [], "a/y": ["split/folder"], "c": ["split/file"]}.items():
        world.sources[f"t/{changed}"] += b"!"
        assert ran().executed == ["split", *reruns]


def test_an_expansion_that_names_an_undeclared_stage_fails_the_build(world, expanding):
    actions, _ = expanding
    build = Build(world, actions, [out("fuse")])
    assert build.status == {"split": "failed", "fuse": "skipped"}
    assert "no loaded rule declares the stage 'm.upper:upper'" in build.reasons["split"]
