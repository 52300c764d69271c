"""`axbuild.InferenceSession`: onnxruntime's interface on the simulated NPU."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import axbuild
from axbuild.codes import exit_code_of
from axbuild.toolchain.axmodel.read import MalformedError, read
from axbuild.toolchain.axmodel.runs import split
from axbuild.toolchain.axmodel.session import SessionError
from axbuild.toolchain.axmodel.write import write
from axmodel_world import SHAPE, build, expected


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("axmodel")
    build(folder)
    return folder / "out" / "compiled.axmodel"


@pytest.fixture
def session(file):
    return axbuild.InferenceSession(file)


def pictures(count):
    return np.random.default_rng(count).integers(0, 256, (count, *SHAPE[1:]), dtype=np.uint8)


def test_a_session_describes_its_inputs_and_outputs_as_onnxruntime_does(session):
    (source,) = session.get_inputs()
    assert (source.name, source.shape, source.type) == ("image", [4, 3, 2, 2], "tensor(uint8)")
    (target,) = session.get_outputs()
    assert (target.name, target.shape, target.type) == ("out/put", [4, 2, 3, 2], "tensor(float)")


@pytest.mark.parametrize("count", range(1, 12))
def test_any_batch_runs_as_the_compiled_ones(session, count):
    x = pictures(count)
    (y,) = session.run(None, {"image": x})
    assert y.dtype == np.float32
    assert np.array_equal(y, expected(x))


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_a_run_takes_one_thread_and_leaves_the_settings_of_the_process_as_they_were(session, monkeypatch):
    seen = []
    run = axbuild.InferenceSession._run
    monkeypatch.setattr(
        axbuild.InferenceSession, "_run", lambda *a, **k: (seen.append(blas_threads()), run(*a, **k))[-1]
    )
    with threadpool_limits(2, user_api="blas"):
        session.run(None, {"image": pictures(4)})
        assert blas_threads() == {2}
    assert seen == [{1}]


@pytest.mark.parametrize(
    ("samples", "batches", "runs"),
    [
        (9, (1, 2, 4), [4, 4, 1]),
        (3, (1, 2), [2, 1]),
        (3, (1, 2, 4), [2, 1]),
        (5, (2, 4), [4, 2]),
        (1, (4,), [4]),
        (8, (1,), [1] * 8),
    ],
)
def test_batches_are_split_largest_first(samples, batches, runs):
    assert split(samples, batches) == runs


def test_a_rest_below_the_smallest_batch_is_filled_up(tmp_path):
    session = axbuild.InferenceSession(build(tmp_path, batches=(2, 4)))
    x = pictures(5)
    (y,) = session.run(["out/put"], {"image": x})
    assert np.array_equal(y, expected(x))


def test_a_session_runs_again_with_the_same_result(session):
    x, other = pictures(3), pictures(4)
    (first,) = session.run(None, {"image": x})
    session.run(None, {"image": other})
    (again,) = session.run(None, {"image": x})
    assert np.array_equal(first, again)


def test_inputs_need_not_be_contiguous(session):
    x = pictures(8)[::2]
    assert np.array_equal(session.run(None, {"image": x})[0], expected(x))


@pytest.mark.parametrize(
    ("names", "feed", "sentence"),
    [
        (None, {}, "input 'image' is missing"),
        (None, None, "run takes a list of output names, or None, and a dict of input arrays by name"),
        ("out/put", {"image": pictures(1)}, "run takes a list of output names"),
        (None, {"imagee": pictures(1)}, "no input 'imagee'; it has image"),
        (["output"], {"image": pictures(1)}, "no output 'output'; it has out/put"),
        (None, {"image": pictures(1).astype(np.float32)}, "must be uint8, and float32 was given"),
        (None, {"image": [1, 2]}, "must be uint8, and list was given"),
        (None, {"image": pictures(1)[:, :2]}, r"must have the shape \[n, 3, 2, 2\], and \[1, 2, 2, 2\] was given"),
        (None, {"image": pictures(1)[0]}, r"and \[3, 2, 2\] was given"),
        (None, {"image": pictures(1)[:0]}, r"and \[0, 3, 2, 2\] was given"),
    ],
)
def test_a_wrong_name_shape_or_dtype_is_an_error_that_says_what_is_right(session, names, feed, sentence):
    with pytest.raises(SessionError, match=sentence) as caught:
        session.run(names, feed)
    assert exit_code_of(caught.value.code) == 2


def test_a_near_name_is_suggested(session):
    with pytest.raises(SessionError) as caught:
        session.run(None, {"imagee": pictures(1)})
    assert caught.value.hint == "did you mean 'image'?"


def test_a_shape_group_that_there_is_not_is_an_error(session):
    with pytest.raises(SessionError, match="no shape group 1; it has 0"):
        session.run(None, {"image": pictures(1)}, shape_group=1)


def test_each_shape_group_runs_its_own_column(tmp_path):
    one = read(build(tmp_path))
    names = {tensor: f"{tensor}_1" for tensor in one.tensors()}

    def renamed(tensors):
        return tuple(replace(tensor, name=names[tensor.name]) for tensor in tensors)

    column = tuple(
        replace(
            subgraph,
            name=f"{subgraph.name}_1",
            inputs=tuple(names[name] for name in subgraph.inputs),
            outputs=tuple(names[name] for name in subgraph.outputs),
            shape_group=1,
        )
        for subgraph in one.subgraphs
    )
    both = replace(
        one,
        inputs=one.inputs + renamed(one.inputs),
        outputs=one.outputs + renamed(one.outputs),
        inner=one.inner + renamed(one.inner),
        subgraphs=one.subgraphs + column,
    )
    session = axbuild.InferenceSession(write(both))
    assert [item.name for item in session.get_inputs(1)] == ["image_1"]
    assert [item.name for item in session.get_outputs()] == ["out/put"]
    x = pictures(3)
    assert np.array_equal(session.run(None, {"image_1": x}, shape_group=1)[0], expected(x))
    assert np.array_equal(session.run(None, {"image": x})[0], expected(x))
    with pytest.raises(SessionError, match="no input 'image'; it has image_1"):
        session.run(None, {"image": x}, shape_group=1)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_a_subgraph_on_the_cpu_runs_sample_by_sample_behind_the_npu(tmp_path, count):
    session = axbuild.InferenceSession(build(tmp_path, on_cpu=True))
    x = pictures(count)
    assert np.array_equal(session.run(None, {"image": x})[0], expected(x, on_cpu=True))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SessionError, match=r"none\.axmodel cannot be read: No such file"):
        axbuild.InferenceSession(tmp_path / "none.axmodel")


def test_a_damaged_file_is_named(file, tmp_path):
    (tmp_path / "cut.axmodel").write_bytes(file.read_bytes()[:-100])
    with pytest.raises(MalformedError, match=r"cut\.axmodel is"):
        axbuild.InferenceSession(str(tmp_path / "cut.axmodel"))


def test_importing_axbuild_imports_nothing_heavy():
    code = (
        "import sys, axbuild; print(axbuild.__version__); print(*({'numpy', 'onnx', 'onnxruntime'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == ["0.1.0", ""]


def test_unknown_attributes_of_the_package_are_errors():
    with pytest.raises(AttributeError, match="no attribute 'Session'"):
        _ = axbuild.Session
