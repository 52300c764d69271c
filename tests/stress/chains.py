"""Long chains of small blocks, built and checked on a chip: how the seconds of each stage grow with the nodes.

    python tests/stress/chains.py [--blocks conv,attention] [--sizes 250,500,1000,2000] [--chip AX650:NPU1] [--most 1.5]

Prints the seconds of every stage (of its slowest action) for each number of nodes, and the power by which a stage grew
over the last doubling: 1 is linear, 2 quadratic. Exits 1 where a build fails, or where a stage that took longer than a
second grew by a higher power than --most.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import models
import numpy as np
import onnx
from onnx import helper, numpy_helper

CHANNELS, SIDE, TOKENS, HEADS = 16, 8, 16, 4
NOISE_SECONDS = 1.0
OPSET = 17


class Chain:
    """A model that grows node by node; every node reads the tensor `at` unless told otherwise."""

    def __init__(self, shape: list[int]) -> None:
        self.shape, self.at = shape, "x"
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(0)

    def add(self, op: str, *others: str, at: str = "", **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [at or self.at, *others], [output], **attributes))
        self.at = output
        return output

    def weight(self, *shape: int, scale: float) -> str:
        return self.constant(self.random.normal(0, scale, shape).astype(np.float32))

    def constant(self, values: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def model(self) -> onnx.ModelProto:
        ports = [helper.make_tensor_value_info(name, 1, self.shape) for name in ("x", self.at)]
        graph = helper.make_graph(self.nodes, "chain", ports[:1], ports[1:], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


def conv(chain: Chain) -> None:
    """x + sigmoid(conv(relu(conv(x))))."""
    before = chain.at
    for activation in ("Relu", "Sigmoid"):
        weights = chain.weight(CHANNELS, CHANNELS, 1, 1, scale=CHANNELS**-0.5)
        chain.add("Conv", weights, chain.weight(CHANNELS, scale=0.1))
        chain.add(activation)
    chain.add("Add", before)


def attention(chain: Chain) -> None:
    """x + attention(norm(x)), as an exporter spells it."""
    before, (_, tokens, channels) = chain.at, chain.shape
    split = chain.constant(np.array([1, tokens, HEADS, channels // HEADS], np.int64))
    joined = chain.constant(np.array([1, tokens, channels], np.int64))
    normed = chain.add("LayerNormalization", chain.weight(channels, scale=1), chain.weight(channels, scale=0.1))
    parts = []
    for order in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
        chain.add("MatMul", chain.weight(channels, channels, scale=channels**-0.5), at=normed)
        chain.add("Add", chain.weight(channels, scale=0.1))
        chain.add("Reshape", split)
        parts.append(chain.add("Transpose", perm=order))
    chain.add("MatMul", parts[1], at=parts[0])
    chain.add("Mul", chain.constant(np.array((channels // HEADS) ** -0.5, np.float32)))
    chain.add("Softmax")
    chain.add("MatMul", parts[2])
    chain.add("Transpose", perm=[0, 2, 1, 3])
    chain.add("Reshape", joined)
    chain.add("MatMul", chain.weight(channels, channels, scale=channels**-0.5))
    chain.add("Add", before)


BLOCKS: dict[str, tuple[Callable[[Chain], None], list[int]]] = {
    "conv": (conv, [1, CHANNELS, SIDE, SIDE]),
    "attention": (attention, [1, TOKENS, CHANNELS]),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", default=",".join(BLOCKS), help="which blocks, separated by commas")
    parser.add_argument("--sizes", default="250,500,1000,2000", help="numbers of nodes, each twice the one before")
    parser.add_argument("--chip", default="AX650:NPU1", help="CHIP:MODE")
    parser.add_argument("--most", type=float, default=1.5, help="highest power by which a stage may grow")
    args = parser.parse_args()
    chip, mode = args.chip.split(":")
    sizes = [int(size) for size in args.sizes.split(",")]
    steep = [name for name in args.blocks.split(",") if too_steep(name, sizes, (chip, mode), args.most)]
    return bool(steep)


def too_steep(name: str, sizes: list[int], chip: tuple[str, str], most: float) -> bool:
    """Whether a build of these chains failed or a stage grew too fast; prints the table."""
    rows = [built(name, size, chip) for size in sizes]
    if not all(rows):
        return True
    print(f"| {name} | " + " | ".join(f"{size} nodes" for size in sizes) + " | power |")
    print("|---" * (len(sizes) + 2) + "|")
    steep = False
    for stage in sorted(rows[-1], key=lambda stage: -rows[-1][stage]):
        seconds = [row[stage] for row in rows]
        power = math.log2(seconds[-1] / seconds[-2])
        steep |= seconds[-1] > NOISE_SECONDS and power > most
        print(f"| {stage} | " + " | ".join(f"{value:.2f}" for value in seconds) + f" | {power:.1f} |", flush=True)
    return steep


def built(name: str, size: int, chip: tuple[str, str]) -> dict[str, float]:
    """Seconds of each stage's slowest action; nothing where the build failed, which is printed."""
    with tempfile.TemporaryDirectory() as folder:
        root, file = Path(folder), Path(folder) / "chain.onnx"
        (root / "axbuild.toml").touch()
        onnx.save(chain_of(name, size), file)
        models.lay_out(root, file, [chip], {}, 0)
        done = models.build(root, file.stem)
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:], flush=True)
            return {}
        return slowest(json.loads(line) for line in (root / "chain.jsonl").read_text().splitlines())


def chain_of(name: str, size: int) -> onnx.ModelProto:
    """Whole blocks, and as many that there are at least `size` nodes."""
    block, shape = BLOCKS[name]
    chain = Chain(shape)
    while len(chain.nodes) < size:
        block(chain)
    return chain.model()


def slowest(events: Iterator[dict[str, object]]) -> dict[str, float]:
    """stage -> seconds of the action of it that took longest."""
    stages: dict[str, float] = {}
    for event in events:
        if event["event"] == "action_finished" and event["status"] == "executed":
            stages[str(event["stage"])] = max(stages.get(str(event["stage"]), 0.0), float(str(event["seconds"])))
    return stages


if __name__ == "__main__":
    sys.exit(main())
