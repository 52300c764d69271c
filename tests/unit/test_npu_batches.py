"""Which operators keep samples apart along axis 0, and what becomes of a batch where one does not."""

from __future__ import annotations

import numpy as np
import pytest
from nets import branchy, grid, mobilenet_v2
from npu_world import one_kind

from axbuild.toolchain.kinds.border import Normalize
from axbuild.toolchain.kinds.codes import FP32, INT32, S8, U8
from axbuild.toolchain.kinds.gather import Gather
from axbuild.toolchain.kinds.island import FloatBinary
from axbuild.toolchain.kinds.mac import MatMul
from axbuild.toolchain.kinds.mover import Concat, Pad, Reshape, Slice, Transpose
from axbuild.toolchain.kinds.reduce import Reduce
from axbuild.toolchain.kinds.softmax import Softmax
from axbuild.toolchain.kinds.table import ChannelTable, Table
from axbuild.toolchain.npu.net import NetError, at_batch, first_mixing, keeps_samples, net_of

X, Y = grid(0.03, 9), grid(1 / 255, 0)
SIGNED = grid(0.01, 0, S8)
PRODUCT = MatMul.of(SIGNED, SIGNED, SIGNED, S8.lo, S8.hi)
MEAN = np.zeros(3, np.float32)

MIXING = {
    "a softmax over the samples": (Softmax.of(X, Y, 0), (4, 6)),
    "a concatenation of samples": (Concat(U8, 0, 2), (1, 6), (1, 6)),
    "a transposition that moves axis 0": (Transpose(U8, (1, 0)), (4, 6)),
    "a transposition of axes of 1": (Transpose(U8, (1, 0, 2)), (1, 1, 4)),
    "a product of two matrices": (PRODUCT, (4, 6), (6, 5)),
    "a product whose right side is shared": (PRODUCT, (2, 4, 6), (6, 5)),
    "a reshape that spreads axis 0": (Reshape(U8, (1, 24)), (4, 6)),
    "a slice of axis 0": (Slice(U8, (0,), (1,), (0,), (1,)), (2, 6)),
    "axis 0 turned around": (Slice(U8, (-1,), (-9,), (0,), (-1,)), (2, 6)),
    "a border before the first sample": (Pad(U8, (1, 0, 0, 0), 0), (2, 6)),
    "a sum over the samples": (Reduce.of("sum", X, X, (0,), U8.lo, U8.hi), (2, 6)),
    "channels along axis 0": (Normalize(FP32, MEAN, MEAN + 1, 0), (3, 6)),
    "tables along axis 0": (ChannelTable(X, X, np.zeros((3, 256), np.uint8), 0), (3, 6)),
    "a vector beside a batch of it": (FloatBinary("add"), (1, 4), (4,)),
}

KEEPING = {
    "a softmax within each sample": (Softmax.of(X, Y, 1), (4, 6)),
    "a concatenation within each sample": (Concat(U8, 1, 2), (1, 6), (1, 5)),
    "a transposition behind axis 0": (Transpose(U8, (0, 2, 1)), (2, 4, 6)),
    "a product of matrices of each sample": (PRODUCT, (2, 4, 6), (2, 6, 5)),
    "a reshape that lays whole samples out": (Reshape(U8, (-1, 12)), (4, 6)),
    "a list of what a sample holds": (Reshape(U8, (-1,)), (2, 6)),
    "a reshape within each sample": (Reshape(U8, (-1, 24)), (2, 4, 6)),
    "a slice within each sample": (Slice(U8, (1,), (3,), (1,), (1,)), (2, 6)),
    "a reduction within each sample": (Reduce.of("max", X, X, (1, 2), U8.lo, U8.hi), (2, 6, 5)),
    "a sum of two maps": (FloatBinary("add"), (1, 4), (1, 4)),
    "a look-up": (Table.of("Square", np.square, X, Y), (7,)),
    "rows of an embedding": (Gather(INT32, X, np.zeros((9, 4), np.uint8)), (2, 5)),
}


@pytest.mark.parametrize("name", MIXING)
def test_an_operator_that_mixes_samples_is_known_by_its_geometry(name):
    kind, *shapes = MIXING[name]
    assert not keeps_samples(kind, *shapes)


@pytest.mark.parametrize("name", KEEPING)
def test_an_operator_that_keeps_samples_apart_is_known_by_its_geometry(name):
    kind, *shapes = KEEPING[name]
    assert keeps_samples(kind, *shapes)


@pytest.mark.parametrize("name", MIXING)
def test_a_batch_of_a_net_that_mixes_samples_is_refused_and_the_operator_named(name):
    kind, *shapes = MIXING[name]
    net = net_of(one_kind(kind, shapes))
    assert at_batch(net, 1) is net
    assert first_mixing(net) == "op_0"
    with pytest.raises(NetError) as caught:
        at_batch(net, 2)
    assert caught.value.code == "AX403"
    assert caught.value.sentence == "Operator 'op_0' does not keep samples apart along axis 0, so there is no batch 2."
    assert caught.value.hint == "build batch 1 only, or run the samples one by one"


@pytest.mark.parametrize("model", [mobilenet_v2(32, 10), branchy(0)[0]], ids=["mobilenet", "branchy"])
def test_nets_of_pictures_keep_samples_apart(model):
    net = net_of(model)
    assert first_mixing(net) is None
    assert at_batch(net, 5).tensors["output_0"].shape[0] == 5
