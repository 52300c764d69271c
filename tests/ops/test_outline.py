"""A quantised model from its file is enough for every chip: its outline stands for the float model, to the byte."""

import onnx
import pytest
from npu_world import support_of
from quantised import quantised
from quantised_file import files, read, written
from random_graphs.all import OPS, random_graph
from random_graphs.proof import optimized

from axbuild.errors import AxError
from axbuild.toolchain.frontend import light
from axbuild.toolchain.npu.plan.floats import LeftOutError
from axbuild.toolchain.npu.plan.partition import PartitionParams, partition

CHIPS = ("AX650", "AX620E", "AX615")


def planned(quant, floats, chip, out):
    """What partition makes, or the error that it raises."""
    out.mkdir()
    try:
        partition(quant, floats, out, params=PartitionParams(support_of(chip), ()))
    except AxError as error:
        return error
    return files(out)


def weights_on_cpu(made):
    """Names of the constants in subgraphs on the CPU."""
    cut = [content for name, content in made.items() if "subgraph_cpu" in name]
    return {tensor.name for content in cut for tensor in onnx.load_from_string(content).graph.initializer}


@pytest.mark.parametrize("seed", range(len(OPS)), ids=OPS)
def test_partition_from_the_outline_is_that_from_the_float_model(seed, tmp_path, monkeypatch):
    """Or it names the weights that the CPU would need."""
    pool = random_graph(seed, 10)
    model = optimized(pool.graph())
    monkeypatch.setattr(light, "INLINE_BYTES", 65)  # weights of small nets are left out, too; lists of shapes are not
    result = quantised(model, pool.feeds())
    onnx.save(model, tmp_path / "optimized.onnx")
    out = read(written(result, tmp_path / "given"), tmp_path / "read")
    assert (out / "quant_axmodel.onnx").read_bytes() == result.content
    for chip in CHIPS:
        whole, alone = (
            planned(out / "quant_axmodel.onnx", floats, chip, tmp_path / f"{chip}_{floats.name}")
            for floats in (tmp_path / "optimized.onnx", out / "outline")
        )
        if isinstance(alone, LeftOutError):
            assert any(f"its float weights '{name}' are not in" in alone.sentence for name in weights_on_cpu(whole))
        else:
            assert str(alone) == str(whole) if isinstance(whole, AxError) else alone == whole
