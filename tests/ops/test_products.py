"""Products of matrices in every form that ONNX has are on the NPU, with the float model's result."""

from __future__ import annotations

import pytest
from compiled import compiled
from quantised import Net, float_run, quantised, sqnr

from axbuild.toolchain.frontend.light import LightModel
from axbuild.toolchain.frontend.optimize import OptimizeParams, simplify

LEAST = 33.0
"""dB over the float model's result that products of two 8-bit tensors keep"""


def product(op: str, x, constant=None, at=1, other=None, c=None, **attributes):
    """x computed; at: the place of the other factor, a constant or another input; c: of a Gemm, a shape or "input"."""
    net = Net(*x)
    second = net.weight("w", *constant) if constant is not None else net.input("b", *other)
    operands = ["x", second] if at else [second, "x"]
    if c == "input":
        operands.append(net.input("c", 4, 5))
    elif c is not None:
        operands.append(net.constant("c", net.rng.normal(size=c)))
    net.add(op, operands, "y", **attributes)
    return net


CASES = {
    "a matrix in front": (product("MatMul", (6, 5), (4, 6), 0), ["Transpose", "Gemm", "Transpose"]),
    "a matrix in front of several": (product("MatMul", (1, 6, 5), (4, 6), 0), ["Transpose", "MatMul", "Transpose"]),
    "a matrix in front of an image": (
        product("MatMul", (1, 3, 6, 5), (1, 1, 4, 6), 0),
        ["Transpose", "MatMul", "Transpose"],
    ),
    "a matrix for each part": (product("MatMul", (1, 3, 6, 5), (3, 4, 6), 0), ["Reshape", "Conv", "Reshape"]),
    "a matrix for each part behind": (
        product("MatMul", (1, 3, 6, 5), (3, 5, 4)),
        ["Transpose", "Reshape", "Conv", "Reshape", "Transpose"],
    ),
    "a vector behind": (product("MatMul", (1, 6, 5), (5,)), ["MatMul", "Reshape"]),
    "a vector in front": (product("MatMul", (1, 6, 5), (6,), 0), ["Transpose", "MatMul", "Transpose", "Reshape"]),
    "a computed vector": (product("MatMul", (6,), (6, 5)), ["Reshape", "Gemm", "Reshape"]),
    "a computed vector behind": (product("MatMul", (1, 4, 6), other=(6,)), ["Reshape", "MatMul", "Reshape"]),
    "two of other ranks": (product("MatMul", (1, 3, 4, 6), other=(6, 5)), ["MatMul"]),
    "two that broadcast": (product("MatMul", (1, 4, 6), other=(1, 3, 6, 5)), ["MatMul"]),
    "Gemm of the transposed": (
        product("Gemm", (6, 4), (6, 5), c=(5,), transA=1, alpha=0.5, beta=2.0),
        ["Transpose", "Gemm"],
    ),
    "Gemm with a number": (product("Gemm", (4, 6), (6, 5), c=()), ["Gemm"]),
    "Gemm with a column": (product("Gemm", (4, 6), (6, 5), c=(4, 1)), ["Gemm", "Add"]),
    "Gemm with a matrix": (product("Gemm", (4, 6), (5, 6), c=(4, 5), transB=1, alpha=0.5), ["Gemm", "Add"]),
    "Gemm with an input": (product("Gemm", (4, 6), (6, 5), c="input"), ["Gemm", "Add"]),
    "Gemm with half an input": (product("Gemm", (4, 6), (6, 5), c="input", beta=0.5), ["Gemm", "Mul", "Add"]),
    "Gemm with its constant in front": (product("Gemm", (6, 5), (4, 6), 0), ["Transpose", "Gemm", "Transpose"]),
    "Gemm of two computed": (product("Gemm", (6, 4), other=(5, 6), c=(5,), transA=1, transB=1), None),
}


@pytest.mark.parametrize("name", CASES)
def test_a_product_runs_on_the_npu_in_every_form(name):
    net, made = CASES[name]
    given = net.model("y")
    samples = net.samples(3)
    done = simplify(LightModel(net.model("y")), OptimizeParams()).proto
    assert made is None or [node.op_type for node in done.graph.node] == made
    result = quantised(done, samples)
    assert result.float_ops() == []
    for feeds in samples:
        found = result.run(feeds)[0]
        assert sqnr(float_run(given, feeds)[0], found) > LEAST
        assert compiled(done, result).run(None, feeds)[0].tobytes() == found.tobytes()
