"""A set of samples in shards: what moves when it changes, and that it is what decoding it at once makes of it."""

import json
import warnings

import numpy as np
import pytest
from calibration_world import npy, png, room_in, tar

from axbuild.codes import exit_code_of
from axbuild.errors import AxWarning
from axbuild.toolchain.data.deal import DealParams, deal
from axbuild.toolchain.data.decode import DecodeParams, decode
from axbuild.toolchain.data.hygiene import Survey, SurveyError
from axbuild.toolchain.data.inputs import InputData, paired
from axbuild.toolchain.data.shards import ShardsError, joined, read_shards, shards_of, write_shards
from axbuild.toolchain.data.survey import SurveyParams, survey

NAMES = [f"sample_{number}" for number in range(500)]


def test_few_samples_are_one_shard():
    assert shards_of(NAMES[:64], 64) == {"": sorted(NAMES[:64])}


def test_every_sample_is_in_one_shard_and_none_is_too_large():
    shards = shards_of(NAMES, 64)
    assert sorted(name for names in shards.values() for name in names) == sorted(NAMES)
    assert max(map(len, shards.values())) <= 64
    assert len(shards) == 11
    assert all(names == sorted(names) for names in shards.values())


def test_a_sample_more_or_less_changes_the_shard_that_it_falls_into_and_no_other():
    before = shards_of(NAMES, 64)
    for changed in ([*NAMES, "another"], NAMES[1:], NAMES[:-1]):
        after = shards_of(changed, 64)
        moved = {folder for folder in before.keys() | after.keys() if before.get(folder) != after.get(folder)}
        assert len(moved) == 1


def test_a_shard_that_grows_too_large_is_parted_where_it_stands():
    small = shards_of(NAMES[:64], 64)
    grown = shards_of(NAMES[:65], 64)
    assert list(small) == [""]
    assert list(grown) == ["0/", "1/"]


def test_shards_are_joined_while_they_stay_within_a_bound():
    counts = {"0/": 60, "1/0/": 30, "1/1/0/": 10, "1/1/1/": 40}
    assert joined(counts, 1000) == [""]
    assert joined(counts, 80) == ["0/", "1/"]
    assert joined(counts, 79) == ["0/", "1/0/", "1/1/"]
    assert joined(counts, 1) == list(counts)
    assert joined({"": 5}, 0.1) == [""]


@pytest.mark.parametrize("text", ["", "[]", '{"format": "x"}', '{"format": "axbuild-shards/1", "shards": 3}'])
def test_a_damaged_list_of_shards_is_refused(tmp_path, text):
    (tmp_path / "shards.json").write_text(text)
    with pytest.raises(ShardsError) as caught:
        read_shards(tmp_path / "shards.json")
    assert exit_code_of(caught.value.code) == 3


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": "x"}', '{"format": "axbuild-survey/1", "pixels": null, "a": 1}']
)
def test_a_damaged_survey_is_refused(tmp_path, text):
    (tmp_path / "survey.json").write_text(text)
    with pytest.raises(SurveyError):
        Survey.read(tmp_path / "survey.json")


def test_a_list_of_shards_read_back_is_what_was_written(tmp_path):
    shards = shards_of(NAMES, 64)
    write_shards(shards, tmp_path / "shards.json")
    assert read_shards(tmp_path / "shards.json") == shards


@pytest.fixture
def room(tmp_path):
    """A set of 90 pictures with all that there is to be said of one."""
    made = room_in(tmp_path)
    for number in range(88):
        (made.source / f"p{number:02}.png").write_bytes(png((number, 2 * number, 7), (4, 4) if number % 9 else (8, 8)))
    (made.source / "twin.png").write_bytes(png((3, 6, 7)))
    (made.source / "grey.png").write_bytes(png(9, mode="L"))
    (made.source / "read.me").write_text("no picture")
    return made


def dealt(room, tmp_path, size, mean=(), std=(), name=""):
    """The set by its shards: (expansion, folder with the samples, warnings)."""
    out = tmp_path / "dealt"
    out.mkdir()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AxWarning)
        deal(room.source, out, params=DealParams(32, name, "Image", size, "RGB", mean, std))
        expansion = json.loads((out / "expansion.json").read_text())
        *parts, last = expansion["children"]
        folder, surveys = tmp_path / "samples", []
        for child in parts:
            where = child["inputs"]["source"].removeprefix("output:dealt/")
            made = tmp_path / child["name"]
            made.mkdir()
            params = DecodeParams(**child["params"])
            decode(out / "dealt" / where, tmp_path / "interface.json", made, params=params)
            (folder / where).parent.mkdir(parents=True, exist_ok=True)
            (made / "samples").rename(folder / where)
            surveys.append(made / "survey.json")
        survey(surveys, tmp_path, params=SurveyParams(**last["params"]))
    return expansion, folder, [(item.category, str(item.message)) for item in caught]


def at_once(room, size, mean=(), std=(), name=""):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AxWarning)
        samples = room.run(DecodeParams(name, "Image", size, "RGB", mean, std))
    return samples, [(item.category, str(item.message)) for item in caught]


@pytest.mark.parametrize("size", [-1, 80, 500])
@pytest.mark.parametrize("normal", [(), (0.5, 0.4, 0.3)])
def test_shards_decoded_apart_are_the_set_decoded_at_once_and_so_are_the_warnings(room, tmp_path, size, normal):
    samples, told = at_once(room, size, normal, normal)
    expansion, folder, told_apart = dealt(room, tmp_path, size, normal, normal)
    assert len(expansion["children"]) > 3
    rows = paired([folder], [InputData("", "Image")])
    assert [name for name, _ in rows] == list(samples)
    assert all(np.array_equal(np.load(file), samples[name]) for name, (file,) in rows)
    assert len(told) >= 4
    assert sorted(told_apart, key=str) == sorted(told, key=str)


def test_what_mean_and_std_are_changes_no_shard(room, tmp_path):
    one, other = children(room, tmp_path / "a", (1.0,)), children(room, tmp_path / "b", (2.0,))
    assert one[:-1] == other[:-1]
    assert one[-1] != other[-1]


def children(room, out, mean):
    out.mkdir()
    deal(room.source, out, params=DealParams(32, "", "Image", -1, "RGB", mean, ()))
    return json.loads((out / "expansion.json").read_text())["children"]


def test_an_archive_that_holds_few_is_decoded_in_one(tmp_path):
    room = room_in(tmp_path)
    tar(room.source / "a.tar", {f"{number}.npy": npy(np.zeros(3)) for number in range(5)})
    deal(room.source, tmp_path, params=DealParams(64, "", "Numpy", -1, "RGB"))
    expansion = json.loads((tmp_path / "expansion.json").read_text())
    assert [child["name"] for child in expansion["children"]] == ["decode"]
    assert expansion["children"][0]["params"]["part"] is False
    assert expansion["result"] == {
        "samples/": "child:decode/samples/",
        "shards.json": "child:decode/shards.json",
    }


def test_the_warnings_of_shards_name_the_input_that_the_set_is_for(room, tmp_path):
    room.inputs = (*room.inputs, ("other", [1]))
    name = room.inputs[0][0]
    _, told = at_once(room, 500, name=name)
    _, _, told_apart = dealt(room, tmp_path, 500, name=name)
    assert sorted(told_apart, key=str) == sorted(told, key=str)
    assert any(f"warning AX337: input '{name}': the set has 90 samples" in text for _, text in told)
