"""A check layer by layer: every tensor inside the programs is held against the bodies, and a fault has a place."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from axbuild.toolchain.axmodel.compare import CompareParams, compare
from axbuild.toolchain.axmodel.follow import FollowParams, follow
from axbuild.toolchain.axmodel.read import read
from axbuild.toolchain.axmodel.simulate_parts import SimulatePartsParams, simulate_parts
from axbuild.toolchain.axmodel.write import write
from axbuild.toolchain.npu.program.decode import decode
from chain_world import place, run_chain
from frontend_world import model, node, normal

LAYERS = CompareParams("equal", layers=True)


def net(lacking="Relu"):
    """Three convolutions, the second behind an operator that may be taken off the NPU."""
    weights = {"w1": normal(6, 3, 3, 3) / 4, "w2": normal(6, 6, 1, 1) / 2, "w3": normal(4, 6, 1, 1) / 2}
    nodes = [
        node("Conv", ["x", "w1"], ["a"], name="first", pads=[1, 1, 1, 1]),
        node(lacking, ["a"], ["b"], name="between"),
        node("Conv", ["b", "w2"], ["c"], name="second"),
        node("Sigmoid", ["c"], ["s"], name="gate"),
        node("Mul", ["c", "s"], ["d"], name="scaled"),
        node("MaxPool", ["d"], ["m"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["m", "w3"], ["e"], name="third"),
        node("Add", ["e", "e"], ["y"], name="twice"),
    ]
    return model(nodes, weights, inputs=(("x", ["N", 3, 8, 8]),), outputs=("y",))


def laid(tmp_path, lacking):
    rng = np.random.default_rng(5)
    samples = {"x": [rng.standard_normal((1, 3, 8, 8), dtype=np.float32) for _ in range(7)]}
    return run_chain(net(lacking), tmp_path, samples, batches=(1, 4))


def judged(chain, axmodel, params=LAYERS):
    folder = place(chain.folder, f"layers{len(list(chain.folder.glob('layers*')))}")
    asked = FollowParams(chain.inputs, (), layers=True)
    follow(chain.folder / "cut/partition", chain.samples, place(folder, "reference"), params=asked)
    simulated = SimulatePartsParams(chain.inputs, (), layers=True)
    simulate_parts(
        axmodel, folder / "reference/boundaries", chain.samples, place(folder, "simulated"), params=simulated
    )
    compare(folder / "simulated/outputs", folder / "reference/outputs", folder, params=params)
    return json.loads((folder / "verdict.json").read_text())


@pytest.mark.parametrize("between", ["Relu", "Softsign"])
def test_every_tensor_inside_is_equal_at_every_batch(tmp_path, between):
    chain = laid(tmp_path, between)
    verdict = judged(chain, chain.axmodel)
    assert verdict["passed"] is True
    assert verdict["samples"] == 7
    inside = {name for part in read(chain.axmodel.read_bytes()).on_npu() for name in part.layers.values()}
    assert inside < verdict["outputs"].keys()
    assert len(inside) >= 4
    assert verdict["differing"] == 0


def test_a_wrong_weight_is_found_at_the_layer_that_has_it(tmp_path):
    chain = laid(tmp_path, "Relu")
    container = read(chain.axmodel.read_bytes())
    (part,) = container.on_npu()
    program = decode(part.programs[1])
    writers = {operand.tensor: job for job in program.jobs if not job.cname for operand in job.outputs}
    convolutions = [job for job in program.jobs if job.kind == "conv" and not job.cname]
    wrong = next(job for job in convolutions if job.op != convolutions[0].op)
    loads = [job for job in program.jobs if job.cname == "ld:param" and job.op == wrong.op]
    params = bytearray(container.params)
    first = program.blobs[loads[0].inputs[0].blob]
    for at in range(first.offset, first.offset + first.size):
        params[at] ^= 0x04
    odd = tmp_path / "odd.axmodel"
    odd.write_bytes(write(replace(container, params=bytes(params))))
    expected = next(part.layers[name] for name in part.layers if writers.get(name) and writers[name].op == wrong.op)
    verdict = judged(chain, odd)
    assert verdict["passed"] is False
    assert verdict["worst"]["tensor"] == expected
    assert f"the first tensor that fails is '{expected}' (int16 [1, 6, 8, 8])" in verdict["sentence"]
    black = replace(LAYERS, tensor_black_list=(f"{expected}",))
    assert judged(chain, odd, black)["worst"]["tensor"] != expected
