import json
from hashlib import sha256

import pytest

from axbuild.engine.code.key import HEADER, StageCode, key_of, parse
from axbuild.store.digests import canonical

CODE = StageCode({"axbuild.b": "22", "axbuild.a": "11"}, {"numpy": "2.4.6"})

CODE_DIGEST = sha256(b'{"axbuild.a":"11","axbuild.b":"22"}').hexdigest()


def key(**changed):
    parts = {
        "stage_id": "axbuild.a:run",
        "code": CODE,
        "params": {"rtol": 1e-5, "names": ["b", "a"]},
        "inputs": {"model": "aa", "samples": [{"x.npy": "cc", "w.npy": "bb"}]},
        "platform": None,
    }
    return key_of(**(parts | changed))


def test_the_record_is_canonical_text_behind_its_version():
    text = key().text
    assert text == (
        "axbuild-key/1\n"
        '{"code":"' + CODE_DIGEST + '",'
        '"inputs":{"model":"aa","samples":[{"w.npy":"bb","x.npy":"cc"}]},'
        '"params":{"names":["b","a"],"rtol":1e-05},"platform":null,'
        '"stage":"axbuild.a:run","tools":{"numpy":"2.4.6"}}'
    )
    assert key().digest == sha256(text.encode()).hexdigest()


def test_the_hand_made_text_is_what_a_canonical_writer_makes_of_the_record():
    made = key(platform="x86_64 v3 cpu")
    assert made.text == f"{HEADER}\n{canonical(made.record)}"
    assert parse(made.text) == json.loads(made.text.partition("\n")[2])


def test_the_order_in_which_parts_are_given_changes_nothing():
    reordered = key(
        code=StageCode({"axbuild.a": "11", "axbuild.b": "22"}, {"numpy": "2.4.6"}),
        params={"names": ["b", "a"], "rtol": 1e-5},
        inputs={"samples": [{"w.npy": "bb", "x.npy": "cc"}], "model": "aa"},
    )
    assert reordered == key()


@pytest.mark.parametrize(
    "changed",
    [
        {"stage_id": "axbuild.a:other"},
        {"code": StageCode({"axbuild.b": "22", "axbuild.a": "12"}, {"numpy": "2.4.6"})},
        {"code": StageCode({"axbuild.b": "22", "axbuild.a": "11"}, {"numpy": "2.4.7"})},
        {"params": {"rtol": 1e-4, "names": ["b", "a"]}},
        {"params": {"rtol": 1e-5, "names": ["a", "b"]}},
        {"inputs": {"model": "ab", "samples": [{"x.npy": "cc", "w.npy": "bb"}]}},
        {"inputs": {"model": "aa", "samples": [{"y.npy": "cc", "w.npy": "bb"}]}},
        {"inputs": {"model": "aa", "samples": {"x.npy": "cc", "w.npy": "bb"}}},
        {"platform": "x86_64 v3 cpu"},
    ],
    ids=["stage", "module", "tool", "parameter", "order of a list", "content", "name in a tree", "list", "platform"],
)
def test_every_part_moves_the_key(changed):
    assert key(**changed).digest != key().digest


def test_what_json_cannot_say_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        key(params={"rtol": float("nan")})


def test_a_record_of_another_version_is_empty():
    assert parse("axbuild-key/0\n{}") == {}
