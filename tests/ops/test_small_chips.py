"""Random graphs on chips that are too small for them: placement and the compiler agree on what fits."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import onnx
import pytest
from npu_world import preset_of, run
from onnx import helper
from quantised import quantised
from random_graphs.all import OPS, random_graph, random_rules
from random_graphs.proof import optimized

from axbuild.toolchain.kinds.codes import type_of_dtype
from axbuild.toolchain.npu.chips.preset import chip_of
from axbuild.toolchain.npu.chips.records import Support
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition
from axbuild.toolchain.npu.plan.quantised import PlanError
from axbuild.toolchain.npu.plan.record import NPU, Partition
from axbuild.toolchain.ops.registry import all_ops


@pytest.mark.filterwarnings("ignore::axbuild.errors.AxWarning")
@pytest.mark.parametrize("kib", [2, 6])
@pytest.mark.parametrize("seed", range(0, len(OPS), 2), ids=OPS[::2])
def test_what_placement_leaves_on_a_small_npu_is_compiled_and_exact(seed, kib, tmp_path):
    pool = random_graph(seed)
    model, feeds = optimized(pool.graph()), pool.feeds()
    result = quantised(model, feeds, rules=random_rules(model, seed))
    small = replace(preset_of(), ocm_bytes=kib << 10)
    (tmp_path / "quant_axmodel.onnx").write_bytes(result.content)
    onnx.save(model, tmp_path / "optimized.onnx")
    params = PartitionParams(Support("AX650", dict.fromkeys(all_ops(), ()), small.memory), ())
    with suppress(PlanError):  # where it leaves nothing there
        partition(tmp_path / "quant_axmodel.onnx", tmp_path / "optimized.onnx", tmp_path, params=params)
    rng = np.random.default_rng(seed)
    for subgraph in Partition.read(tmp_path / "partition").at(NPU):
        part = onnx.load(tmp_path / "partition" / subgraph.file)
        arrays = {value.name: _values(rng, value) for value in part.graph.input}
        found, expected = (run(part, arrays, chip_of(preset)) for preset in (small, preset_of()))
        assert all(np.array_equal(found[name], expected[name], equal_nan=True) for name in expected)


def _values(rng, value):
    """Of indices the first one only."""
    kind = value.type.tensor_type
    dtype = np.dtype(type_of_dtype(str(helper.tensor_dtype_to_np_dtype(kind.elem_type))).carried)
    shape = [dim.dim_value for dim in kind.shape.dim]
    if dtype.kind == "f":
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, 1 if dtype == np.int32 else 256, shape).astype(dtype)
