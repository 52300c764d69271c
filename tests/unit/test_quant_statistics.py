"""The statistics file: round trip, exact merging, and refusal of everything else."""

from functools import reduce

import msgpack
import numpy as np
import pytest

from axbuild.codes import exit_code_of
from axbuild.errors import AxError
from axbuild.toolchain.quant.histogram import stride_of
from axbuild.toolchain.quant.merge import MergeParams, merge
from axbuild.toolchain.quant.observer import Observer, SampleNotFiniteError, TensorObserver
from axbuild.toolchain.quant.statistics import Statistics, StatisticsError


def observed(samples, name="t", axis=1):
    observer = Observer({name: TensorObserver(axis)})
    for index, sample in enumerate(samples):
        observer.see(f"s{index}", {name: sample})
    return observer.statistics()


@pytest.fixture
def samples():
    rng = np.random.default_rng(1)
    return [rng.normal(0, 1 + i, (1, 3, 20, 17)).astype(np.float32) for i in range(40)]


def content(tmp_path, samples):
    observed(samples).write(tmp_path / "s")
    return msgpack.unpackb((tmp_path / "s").read_bytes())


def test_minimum_and_maximum_are_exact_for_tensor_and_channels(samples):
    statistics, stacked = observed(samples).tensors["t"], np.concatenate(samples)
    assert (statistics.whole.minimum, statistics.whole.maximum) == (stacked.min(), stacked.max())
    assert np.array_equal(statistics.channel_minimum, stacked.min(axis=(0, 2, 3)))
    assert np.array_equal(statistics.channel_maximum, stacked.max(axis=(0, 2, 3)))
    np.testing.assert_allclose(statistics.channel_means.values(3) / 40, stacked.mean(axis=(0, 2, 3)), atol=1e-6)
    assert statistics.whole.histogram.counts.sum() == stacked.size


@pytest.mark.parametrize("shape", [(1, 8, 64, 64), (1, 3, 224, 224), (1, 1000), (7,), (), (2, 5, 3), (4, 6, 9, 9)])
def test_histogram_takes_at_most_4096_values_spread_over_all_columns(shape):
    stride, size = stride_of(shape), int(np.prod(shape))
    assert -(-size // stride) <= 4096
    if shape and size > 4096 * shape[-1]:
        assert set(np.arange(0, size, stride) % shape[-1]) == set(range(shape[-1]))


@pytest.mark.parametrize(("shape", "axis"), [((2, 5, 3), 2), ((2, 5, 3), 1), ((4, 6), 0), ((2, 6, 3, 3), 1), ((5,), 0)])
def test_channels_are_those_of_the_axis_that_the_watch_list_names(shape, axis):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    others = tuple(index for index in range(len(shape)) if index != axis)
    statistics = observed([x], axis=axis).tensors["t"]
    assert np.array_equal(statistics.channel_minimum, x.min(axis=others))
    assert np.array_equal(statistics.channel_maximum, x.max(axis=others))
    np.testing.assert_allclose(statistics.channel_means.values(shape[axis]), x.mean(axis=others), rtol=1e-5)


def test_a_scalar_is_one_channel():
    statistics = observed([np.float32(3.5).reshape(())], axis=0).tensors["t"]
    assert (statistics.channels, statistics.whole.maximum) == (1, 3.5)


def test_a_file_read_back_is_what_was_written(tmp_path, samples):
    statistics = observed(samples)
    statistics.write(tmp_path / "a")
    Statistics.read(tmp_path / "a").write(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert Statistics.read(tmp_path / "a").samples == 40


def test_merged_shards_are_the_observation_of_all_samples(tmp_path, samples):
    parts = []
    for index, part in enumerate((samples[:7], samples[7:8], samples[8:])):
        observed(part).write(tmp_path / f"part{index}")
        parts.append(tmp_path / f"part{index}")
    merge(parts, tmp_path, params=MergeParams())
    merged, whole = Statistics.read(tmp_path / "statistics.msgpack").tensors["t"], observed(samples).tensors["t"]
    assert (tmp_path / "statistics.msgpack").read_bytes() == _written(observed(samples), tmp_path)
    assert merged.whole.histogram.counts.sum() == whole.whole.histogram.counts.sum()


def test_merging_is_exact_in_any_order(tmp_path, samples):
    parts = [observed([sample]) for sample in samples]
    forward = reduce(Statistics.merged, parts)
    backward = reduce(Statistics.merged, reversed(parts))
    assert _written(forward, tmp_path) == _written(backward, tmp_path) == _written(observed(samples), tmp_path)


@pytest.mark.parametrize("shape", [(1, 3, 20, 17), (2, 4, 5, 3), (1, 64), (1, 7, 9), (), (1, 3, 200, 180)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_samples_looked_at_together_give_the_bytes_of_each_by_itself(tmp_path, shape, axis):
    axis = min(axis, max(len(shape) - 1, 0))
    rng = np.random.default_rng(3)
    samples = [(rng.normal(size=shape) * 10.0**exponent).astype(np.float32) for exponent in range(-30, 37)]
    apart = reduce(Statistics.merged, (observed([sample], axis=axis) for sample in samples))
    assert _written(observed(samples, axis=axis), tmp_path) == _written(apart, tmp_path)


def test_of_tensors_that_are_not_finite_the_first_of_the_first_sample_is_named():
    """Small tensors are looked at late, large ones at once: that must not show."""
    observer = Observer({"small": TensorObserver(0), "large": TensorObserver(0)})
    for number in range(3):
        observer.see(f"s{number}", {"small": np.zeros(4, np.float32), "large": np.zeros(1 << 17, np.float32)})
    with pytest.raises(SampleNotFiniteError, match="tensor 'small' of the float model is not finite for sample 's3'"):
        observer.see("s3", {"small": np.full(4, np.nan, np.float32), "large": np.full(1 << 17, np.nan, np.float32)})


def _written(statistics, tmp_path):
    statistics.write(tmp_path / "written")
    return (tmp_path / "written").read_bytes()


def test_one_part_passes_through_unchanged(tmp_path, samples):
    observed(samples).write(tmp_path / "part")
    merge([tmp_path / "part"], tmp_path, params=MergeParams())
    assert (tmp_path / "statistics.msgpack").read_bytes() == (tmp_path / "part").read_bytes()


def test_parts_of_two_models_do_not_merge(samples):
    with pytest.raises(StatisticsError, match="'other' is in one only"):
        observed(samples, "t").merged(observed(samples, "other"))
    with pytest.raises(StatisticsError, match="different numbers of channels"):
        observed(samples).merged(observed([sample[:, :2] for sample in samples]))


def test_no_parts_are_an_error(tmp_path):
    with pytest.raises(StatisticsError, match="no statistics to merge"):
        merge([], tmp_path, params=MergeParams())


def change(key, value):
    def apply(tree):
        tree["tensors"][0][key] = value

    return apply


def top(key, value):
    def apply(tree):
        tree[key] = value

    return apply


DAMAGES = {
    "another format": (top("format", "x/1"), "not of the format"),
    "no samples": (top("samples", 0), "number of samples"),
    "tensors missing": (top("tensors", None), "number of samples or its tensors"),
    "tensor without name": (change("name", 3), "without a name"),
    "minimum infinite": (change("minimum", float("inf")), "the minimum of tensor 't' is not a finite number"),
    "maximum missing": (change("maximum", None), "the maximum of tensor 't'"),
    "minimum above maximum": (change("minimum", 1e9), "contradict themselves"),
    "channels of other size": (change("channel_minimum", b"\0" * 8), "contradict themselves"),
    "channels cut": (change("channel_minimum", b"\0" * 7), "channel_minimum of tensor 't' is damaged"),
    "channels of text": (change("channel_maximum", "x"), "channel_maximum of tensor 't' is damaged"),
    "channels beyond the tensor": (change("channel_maximum", b"\0" * 12), "minimum and maximum"),
    "means cut": (change("channel_means", [[0, b"\0" * 8]]), "means of tensor 't'"),
    "means at no place": (change("channel_means", [[3, b"\0" * 24]]), "means of tensor 't'"),
    "means no list": (change("channel_means", 5), "means of tensor 't'"),
    "negative counts": (change("counts", np.array([1, -1, 1]).tobytes()), "histogram of tensor 't'"),
    "no counts": (change("counts", b""), "histogram of tensor 't'"),
    "exponent of text": (change("exponent", "1"), "histogram of tensor 't'"),
    "exponent out of reach": (change("exponent", 10**9), "histogram of tensor 't'"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_has_its_sentence(tmp_path, samples, damage):
    apply, sentence = DAMAGES[damage]
    tree = content(tmp_path, samples)
    apply(tree)
    (tmp_path / "bad").write_bytes(msgpack.packb(tree))
    with pytest.raises(StatisticsError, match=sentence) as caught:
        Statistics.read(tmp_path / "bad")
    assert exit_code_of(caught.value.code) == 2


def test_a_tensor_named_twice_is_refused(tmp_path, samples):
    tree = content(tmp_path, samples)
    tree["tensors"] *= 2
    (tmp_path / "bad").write_bytes(msgpack.packb(tree))
    with pytest.raises(StatisticsError, match="twice"):
        Statistics.read(tmp_path / "bad")


def test_cut_and_flipped_files_give_our_error_or_a_valid_reading(tmp_path, samples):
    observed(samples[:2]).write(tmp_path / "good")
    good, rng, refused = (tmp_path / "good").read_bytes(), np.random.default_rng(5), 0
    for index in range(300):
        bad = bytearray(good[: rng.integers(len(good))] if index % 2 else good)
        if index % 2 == 0:
            bad[rng.integers(min(len(bad), 200))] ^= int(rng.integers(1, 256))
        (tmp_path / "bad").write_bytes(bytes(bad))
        try:
            Statistics.read(tmp_path / "bad")
        except AxError as error:
            refused += error.code == "AX351"
    assert refused > 150
