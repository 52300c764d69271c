"""Parts of a model with batches and a compression of their own: what runs together, and that answers stay the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from npu_world import CHIPS

import axbuild
from axbuild.toolchain.axmodel.compression import opened
from axbuild.toolchain.axmodel.container import PARAMS, PARAMS_APART
from axbuild.toolchain.axmodel.fuse import FuseParams, fuse
from axbuild.toolchain.axmodel.read import MalformedError, read
from axbuild.toolchain.axmodel.runners import NpuRunner
from axbuild.toolchain.axmodel.write import write
from axbuild.toolchain.npu.chips.records import Nameplate
from axbuild.toolchain.npu.plan.sub_configs import SubConfig
from axbuild.toolchain.npu.program.decode import decode
from chain_world import run_chain
from frontend_world import model, node, normal

PARTS = (SubConfig(("ar",), ("br",)), SubConfig(("br",), ("c",)))
RNG = np.random.default_rng(1)
SAMPLES = [RNG.standard_normal((1, 3, 8, 8), dtype=np.float32) for _ in range(9)]


def net():
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="c1", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["ar"], name="r1"),
        node("Conv", ["ar", "w2"], ["b"], name="c2", pads=[1, 1, 1, 1]),
        node("Relu", ["b"], ["br"], name="r2"),
        node("Conv", ["br", "w3"], ["c"], name="c3", pads=[1, 1, 1, 1]),
        node("MaxPool", ["c"], ["y"], name="pool", kernel_shape=[2, 2]),
    ]
    weights = {"w1": normal(16, 3, 3, 3) / 3, "w2": normal(16, 16, 3, 3) / 9, "w3": normal(16, 16, 3, 3) / 9}
    return model(nodes, weights, inputs=(("x", [1, 3, 8, 8]),))


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """The model on 1 and 4 samples, its parts on 2 and 3, and on 1; the first part is compressed."""
    folder = tmp_path_factory.mktemp("parts")
    own = {"sub_batches": ((2, 3), (1,)), "sub_compressed": (True, False)}
    return run_chain(net(), folder, {"x": SAMPLES}, batches=(1, 4), sub_configs=PARTS, **own)


@pytest.fixture(scope="module")
def session(chain):
    return axbuild.InferenceSession(chain.axmodel)


def test_each_subgraph_holds_programs_for_its_own_batches(session):
    programs = {one.name: sorted(one.programs) for one in session.source.on_npu()}
    assert list(programs.values()) == [[1, 4], [2, 3], [1], [1, 4]]
    assert session.source.batches() == (1, 2, 3, 4)
    assert [session.get_inputs()[0].shape, session.get_outputs()[0].shape] == [[4, 3, 8, 8], [4, 16, 7, 7]]


def test_the_check_runs_every_program_and_finds_answers_equal_to_the_last_bit(chain):
    assert chain.verdict("equal")["differing"] == 0
    assert chain.verdict("equal")["sentence"].endswith("of 1 output on 9 samples: equal bit for bit")


@pytest.mark.parametrize("count", range(1, 10))
def test_samples_together_answer_as_one_by_one(session, count):
    together = session.run(None, {"x": np.concatenate(SAMPLES[:count])})[0]
    assert np.array_equal(together, np.concatenate([session.run(None, {"x": one})[0] for one in SAMPLES[:count]]))


def test_each_subgraph_runs_what_comes_together_as_its_own_batches(session, monkeypatch):
    sizes = []
    run = NpuRunner._run
    monkeypatch.setattr(NpuRunner, "_run", lambda self, chunk, size, layers: sizes.append((len(chunk), size)) or run(
        self, chunk, size, layers
    ))  # fmt: skip
    session.run(None, {"x": np.concatenate(SAMPLES[:7])})
    ones = [(1, 1)]
    assert sizes == [(4, 4), *ones * 3, (3, 3), (3, 3), (1, 2), *ones * 7, (4, 4), *ones * 3]


def test_an_estimate_adds_up_what_each_subgraph_runs(session):
    cycles = {
        one.name: {batch: decode(one.programs[batch]).max_cycle for batch in one.programs}
        for one in session.source.on_npu()
    }
    first, middle, single, last = cycles.values()
    expected = first[4] + 3 * first[1] + 2 * middle[3] + middle[2] + 7 * single[1] + last[4] + 3 * last[1]
    assert session.estimate(7)[0] == expected


def test_a_compressed_part_has_its_parameters_in_a_constant_of_its_own(chain):
    content = chain.axmodel.read_bytes()
    container = read(content)
    packed = container.on_npu()[1]
    assert [one.params_key for one in container.on_npu()] == [PARAMS, PARAMS_APART, PARAMS, PARAMS]
    assert container.compressed == {PARAMS_APART, *packed.blobs()} == container.stored.keys()
    stored = {one.name: one.raw_data for one in onnx.load_from_string(content).graph.initializer}
    assert stored[PARAMS] == container.params
    frame = {PARAMS_APART: stored[PARAMS_APART]}
    assert opened(frame, {PARAMS_APART: len(container.params_apart)})[PARAMS_APART] == container.params_apart
    assert write(container) == content


def test_a_file_whose_program_names_the_other_constant_is_damaged(chain):
    damaged = onnx.load_from_string(chain.axmodel.read_bytes())
    for attribute in damaged.graph.node[1].attribute:
        attribute.s = attribute.s.replace(PARAMS_APART.encode(), PARAMS.encode())
    with pytest.raises(MalformedError, match="does not agree with the rest of the file"):
        read(damaged.SerializeToString())


def test_a_part_that_alone_is_not_compressed_stands_apart_too(chain, session, tmp_path):
    nameplate = Nameplate("AX650", CHIPS["AX650"].container, "NPU1")
    params = FuseParams(nameplate, compressed=True, sub_compressed=(False, True))
    fuse([chain.folder / "cut/partition"], [chain.folder / "programs"], tmp_path, params=params)
    other = axbuild.InferenceSession(tmp_path / "compiled.axmodel")
    plain = other.source.on_npu()[1]
    assert [one.apart for one in other.source.on_npu()] == [False, True, False, False]
    assert other.source.compressed == other.source.npu_blobs().keys() - {PARAMS_APART, *plain.blobs()}
    feed = {"x": np.concatenate(SAMPLES[:3])}
    assert np.array_equal(other.run(None, feed)[0], session.run(None, feed)[0])
