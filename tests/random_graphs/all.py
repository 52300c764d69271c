"""A random graph of every operator, and random layer rules for it."""

from __future__ import annotations

import numpy as np
import onnx
from quantised import loaded

from axbuild.toolchain.kinds.codes import CODES, FP32
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.precision import LayerConfig
from random_graphs import elementwise, indices, logic, movers, products, spatial  # noqa: F401  # importing them fills the table
from random_graphs.growers import GROWERS
from random_graphs.pool import Pool, UnfitError

OPS = tuple(sorted(GROWERS))


def random_graph(seed: int, nodes: int = 10) -> Pool:
    """A graph with the operator OPS[seed % len(OPS)], and up to `nodes` others before and behind it."""
    pool, wanted = Pool(seed), OPS[seed % len(OPS)]
    before, found = pool.between(0, nodes // 2), False
    for turn in range(nodes):
        if turn >= before and not found:
            found = grown(pool, wanted)
        else:
            grown(pool, pool.one_of(OPS))
    return pool


def grown(pool: Pool, op: str) -> bool:
    """Add a node of the operator, unless twenty tries find nothing for it to read; whether there is one."""
    for _ in range(20):
        count = len(pool.nodes)
        try:
            GROWERS[op](pool, op)
        except UnfitError:
            pool.cut(count)
            continue
        return True
    return False


def random_rules(model: onnx.ModelProto, seed: int) -> list[LayerConfig]:
    """For half of the nodes any codes, or FP32 where the NPU computes in it, and weights of either width."""
    rng = np.random.default_rng(seed)
    codes = [kind.name for kind in CODES]
    rules = []
    for node in loaded(model).graph:
        op = op_of(node)
        floats = [FP32.name] if op is not None and op.in_float32(node) else []
        data, weight = rng.choice([*codes, *floats]), rng.choice(["S4", "S8", "S16"])
        if rng.random() < 0.5:
            rules.append(LayerConfig(layer_name=node.name or "", data_type=str(data), weight_data_type=str(weight)))
    return rules
