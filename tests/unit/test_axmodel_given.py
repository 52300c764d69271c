"""A compiled model, or a part of it, on data in the form that it takes in: what is compared, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from axbuild.errors import AxError
from axbuild.toolchain.axmodel import outputs
from axbuild.toolchain.axmodel.compare import CompareParams, compare
from axbuild.toolchain.axmodel.given import GivenParams, given
from axbuild.toolchain.axmodel.simulate_parts import SimulatePartsParams, simulate_parts
from axbuild.toolchain.npu.plan.sub_configs import SubConfig
from chain_world import place, run_chain
from frontend_world import model, node, normal


def net():
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="c1", pads=[1, 1, 1, 1]),
        node("Conv", ["a", "w2"], ["b"], name="c2", pads=[1, 1, 1, 1]),
        node("HardSwish", ["b"], ["h"], name="act"),
        node("Add", ["h", "a"], ["s/out"], name="add"),
        node("MaxPool", ["s/out"], ["y"], name="pool", kernel_shape=[2, 2]),
    ]
    weights = {"w1": normal(4, 3, 3, 3) / 3, "w2": normal(4, 4, 3, 3) / 4}
    return model(nodes, weights, inputs=(("x", [1, 3, 6, 6]),))


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Pictures come in as U8, NHWC; the Add is a part of its own."""
    rng = np.random.default_rng(0)
    pictures = {"x": [rng.integers(0, 256, (6, 6, 3), dtype=np.uint8) for _ in range(3)]}
    return run_chain(
        *(net(), tmp_path_factory.mktemp("chain"), pictures),
        images=("x",),
        source="U8",
        layout="NHWC",
        mean=(100.0,),
        std=(60.0,),
        batches=(1, 2),
        sub_configs=(SubConfig(("h", "a"), ("s/out",)),),
    )


@pytest.fixture
def run(chain, tmp_path):
    """(name of a file below the folder, array) of each -> (sample -> what the reference made, the verdict)."""

    def answered(files, start=None, subgraphs=(), *, layers=False):
        for name, content in files.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, content) if path.suffix == ".npy" else path.write_bytes(bytes(content))
        reference, simulated, judged = (place(tmp_path, name) for name in ("reference", "simulated", "judged"))
        cut = chain.folder / "cut/partition"
        given(cut, tmp_path / "data", reference, params=GivenParams(start, layers, subgraphs))
        params = SimulatePartsParams((), layers=layers, subgraphs=subgraphs)
        simulate_parts(chain.axmodel, reference / "boundaries", [], simulated, params=params)
        compare(simulated / "outputs", reference / "outputs", judged, params=CompareParams("equal", layers=layers))
        made = reference / "outputs"
        return {name: outputs.load(made, name) for name in outputs.samples(made)}, (judged / "verdict.json").read_text()

    return answered


def pictures(chain):
    return [np.load(file) for file in sorted(chain.samples[0].glob("*.npy"))]


def test_the_pictures_that_the_model_takes_in_give_what_samples_give(chain, run):
    made, verdict = run({f"{number}.npy": picture[None] for number, picture in enumerate(pictures(chain))})
    expected = [outputs.load(chain.folder / "reference/outputs", f"{number:03}")["y"] for number in range(3)]
    assert [(name, list(found)) for name, found in made.items()] == [
        (str(n), ["a", "h", "s/out", "y"]) for n in range(3)
    ]
    assert all(np.array_equal(found["y"], y) for found, y in zip(made.values(), expected, strict=True))
    assert "equal bit for bit" in verdict


def test_inside_the_programs_too(chain, run):
    made, verdict = run({"x.npy": pictures(chain)[0][None]}, layers=True)
    assert {"x/codes", "h", "a", "b", "s/out", "y"} <= made["x"].keys()
    assert "equal bit for bit" in verdict


def test_a_part_runs_alone_on_what_it_takes_in(run):
    codes = np.random.default_rng(1).integers(0, 256, (2, 1, 4, 6, 6), dtype=np.uint8)
    files = {"h/0.npy": codes[0], "h/1.npy": codes[1], "a.bin": codes[::-1].tobytes()}
    made, verdict = run(files, 0, ("subgraph_npu_1",))
    assert [list(found) for found in made.values()] == [["s/out"], ["s/out"]]
    assert '"elements": 288' in verdict
    assert "equal bit for bit" in verdict


PLANES = np.zeros((1, 4, 6, 6), np.uint8)
FAULTS = {
    "another type": ({"x.npy": np.zeros((1, 6, 6, 3), np.float32)}, None, "x.npy.*float32"),
    "another shape": ({"x.npy": np.zeros((1, 3, 6, 6), np.uint8)}, None, "x.npy.*3, 6, 6"),
    "too few bytes": ({"x.bin": b"123"}, None, r"'x.bin' has 3 bytes, and a sample of input 'x' has 108"),
    "neither array nor picture": ({"x.txt": b"1 2 3"}, None, "x.txt"),
    "an input without data": ({"h.npy": PLANES}, 0, "there are no samples for the input 'a'; expected h "),
    "data for no input": ({"h.npy": PLANES, "a.npy": PLANES, "q.npy": PLANES}, 0, "'q.npy' is for no input"),
    "different numbers": (
        {"h.npy": PLANES, "a.npy": np.zeros((2, 4, 6, 6), np.uint8)},
        0,
        "different numbers of samples: 'h' 1, 'a' 2",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_data_that_does_not_fit_is_refused_by_name(run, fault):
    files, start, sentence = FAULTS[fault]
    with pytest.raises(AxError, match=sentence):
        run(files, start)
