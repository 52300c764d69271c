"""What the report of a compiled subgraph says of its own estimate."""

from __future__ import annotations

import pytest
from nets import Body, grid, mobilenet_v2
from npu_world import chip, compiled, one_kind
from witness.mac import conv

from axbuild.toolchain.kinds.codes import S4, S8, S16
from axbuild.toolchain.kinds.mac import FullyConnected, MatMul
from axbuild.toolchain.kinds.table import Table
from axbuild.toolchain.npu.compile import report
from axbuild.toolchain.npu.net import net_of

NEVER = (
    "cycles of the reference NPU's cost model, not of a chip; "
    "never compared with published figures for this kind of work"
)


def said(model) -> dict:
    return report(compiled(model)[0], net_of(model), chip())


def product():
    g = grid(0.01, 0, S8)
    return one_kind(MatMul.of(g, g, g, S8.lo, S8.hi), ((4, 8), (8, 6)))


def wide():
    g, like = grid(0.01, 0, S16), Body()
    x = like.codes("x", (1, 16))
    kind = net_of(like.model(like.fully(x, 4))).ops[0].kind
    return one_kind(
        FullyConnected(g, S8, g, kind.weight, kind.bias.astype("int64"), kind.multiplier, S16.lo, S16.hi), ((1, 16),)
    )


def look_up():
    return one_kind(Table.of("Square", lambda x: x * x, grid(0.1, 0), grid(0.1, 0)), ((1, 16),))


def test_an_error_is_stated_for_convolutional_networks_of_8_bits():
    found = said(mobilenet_v2(32, 10))
    assert found["calibration_error_percent"] == chip().error_percent > 0
    assert found["note"] == (
        "cycles of the reference NPU's cost model, not of a chip; "
        f"within {chip().error_percent:g} % of the figures published for convolutional networks of 8 bits"
    )


@pytest.mark.parametrize("model", [product, wide, look_up])
def test_no_error_is_stated_for_work_that_was_never_compared(model):
    found = said(model())
    assert found["calibration_error_percent"] == -1.0
    assert found["note"] == NEVER


def test_a_row_counts_the_jobs_of_all_samples_of_an_operator():
    body = Body()
    model = body.model(body.conv(body.codes("x", (1, 4, 6, 6)), 8, 3))
    (row,) = said(model)["ops"]
    assert (row["name"], row["op_type"], row["macs"]) == ("op_0", "AxQuantizedConv", 36 * 8 * 4 * 9)
    assert row["ddr_bytes"] == 4 * 36 + 8 * 36 + sum(blob.size for blob in compiled(model)[0].blobs)


def test_weights_of_four_bits_take_half_the_bytes_on_their_way_from_the_ddr_too():
    eight, four = (said(one_kind(conv((64, 64, 3, 3), w=w, pads=(1, 1, 1, 1)), ((1, 64, 8, 8),))) for w in (S8, S4))
    weights, beside = 64 * 64 * 9, 64 * (4 + 4)  # a channel's bias and multiplier
    assert eight["params_bytes"] == weights + beside
    assert four["params_bytes"] == weights // 2 + beside
    assert eight["ops"][0]["ddr_bytes"] - four["ops"][0]["ddr_bytes"] == weights // 2
    assert four["max_cycle"] < eight["max_cycle"]


def test_the_stages_of_a_compilation_are_counted():
    body = Body()
    model = body.model(body.conv(body.codes("x", (1, 4, 6, 6)), 8, 3))
    program, found = compiled(model)[0], said(model)
    moves = [job.cname for job in program.jobs if job.cname]
    assert found["stages"]["operators"] == 1
    assert found["stages"]["jobs"] == found["jobs"] == found["stages"]["tiles"] + len(moves)
    assert found["stages"]["after_ddr_swap"] == found["stages"]["tiles"] > 0
    assert sorted(set(moves)) == ["ld:input", "ld:param", "st:output"]
