import pytest

from axbuild.engine.records.explain import Cause, diff, is_first, reason, sentence

BEFORE = {
    "stage": "m:f",
    "code": "old",
    "tools": {"numpy": "2.4.6"},
    "params": {"rtol": 1e-5, "processors": [{"mean": [1, 2], "name": "x"}]},
    "inputs": {"model": "a" * 64, "samples": [{"x.npy": "b" * 64, "y.npy": "c" * 64}]},
    "platform": None,
}


CODE = {
    "old": {"m": "1" * 64, "m.helper": "2" * 64},
    "edited": {"m": "1" * 64, "m.helper": "3" * 64},
    "grown": {"m": "1" * 64, "m.helper": "2" * 64, "m.new": "3" * 64},
}
NAMES = {"model": "model.onnx of //m:float optimize", "samples[0]": "data", "samples[0]/x.npy": "data/x.npy"}


def after(**changed):
    return diff(BEFORE, BEFORE | changed, NAMES, CODE.get)


def test_equal_records_have_no_causes():
    assert after() == ()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            {"inputs": {**BEFORE["inputs"], "model": "d" * 64}},
            "model.onnx of //m:float optimize changed: aaaaaaaaaaaa -> dddddddddddd",
        ),
        (
            {"inputs": {**BEFORE["inputs"], "samples": [{"x.npy": "e" * 64, "y.npy": "c" * 64}]}},
            "data/x.npy changed: bbbbbbbbbbbb -> eeeeeeeeeeee",
        ),
        (
            {"inputs": {**BEFORE["inputs"], "samples": [{"x.npy": "b" * 64}]}},
            "y.npy in data went away",
        ),
        ({"inputs": {**BEFORE["inputs"], "other": "f" * 64}}, "input other appeared"),
        ({"params": BEFORE["params"] | {"rtol": 1e-4}}, "parameter rtol: 1e-05 -> 0.0001"),
        (
            {"params": BEFORE["params"] | {"processors": [{"mean": [1, 3], "name": "x"}]}},
            "parameter processors[0].mean: [1, 2] -> [1, 3]",
        ),
        ({"params": {"processors": BEFORE["params"]["processors"]}}, "parameter rtol: 1e-05 -> not set"),
        (
            {"code": "edited"},
            "code m.helper changed: 222222222222 -> 333333333333",
        ),
        ({"code": "grown"}, "code m.new joined the stage's imports"),
        ({"code": "forgotten"}, "code of the stage changed: old -> forgotten"),
        ({"tools": {"numpy": "2.4.7"}}, "tool numpy: 2.4.6 -> 2.4.7"),
        ({"tools": {}}, "tool numpy: 2.4.6 -> not used"),
        ({"params": BEFORE["params"] | {"mode": "NPU2", "on": True}}, 'parameter mode: not set -> "NPU2"'),
        ({"platform": "x86_64 v3 cpu"}, "float platform: any -> x86_64 v3 cpu"),
        ({"stage": "m:g"}, "stage: m:f -> m:g"),
    ],
)
def test_one_moved_part_is_one_sentence(changed, told):
    assert [sentence(cause) for cause in after(**changed)][:1] == [told]


def test_what_another_action_made_is_no_first_cause():
    changed = {"inputs": {**BEFORE["inputs"], "model": "d" * 64, "samples": [{"x.npy": "e" * 64}]}}
    assert [(cause.name, is_first(cause)) for cause in after(**changed, tools={})] == [
        ("model", False),
        ("samples[0]/x.npy", True),
        ("samples[0]/y.npy", True),
        ("numpy", True),
    ]


def test_causes_that_are_no_part_of_a_key():
    assert sentence(Cause("blob", "out", "f" * 64, "missing")) == "stored output out (ffffffffffff) is missing"
    assert sentence(Cause("result")) == "the stored result is gone"
    assert sentence(Cause("first")) == "never built in this workspace"


def test_a_reason_names_the_first_causes_and_counts_the_others():
    causes = tuple(Cause("tool", f"t{i}", "1", "2") for i in range(5))
    assert reason(causes) == "tool t0: 1 -> 2; tool t1: 1 -> 2; tool t2: 1 -> 2; and 2 more"


def test_long_values_are_cut():
    told = sentence(Cause("parameter", "list", list(range(100)), None))
    assert told.endswith("... -> not set")
    assert len(told) < 100
