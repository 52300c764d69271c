import numpy as np
from nets import Body, grid

from axbuild.toolchain.kinds.codes import U8
from axbuild.toolchain.kinds.mover import Concat, Pad, Transpose
from axbuild.toolchain.kinds.softmax import Softmax


def small_net(seed: int):
    rng = np.random.default_rng(seed)
    body = Body(seed)
    size = int(rng.integers(9, 15))
    x = body.codes("input_0", (1, 3, size, size))
    x = body.conv(x, int(rng.choice([33, 40])), 3, int(rng.integers(1, 3)))
    channels = body.shapes[x][1]
    y = body.conv(body.conv(x, channels, 3, group=channels), channels, linear=True)
    x = body.plus(x, y, zero=0)
    x = body.made(body.add(Pad(U8, (0, 0, 1, 0, 0, 0, 0, 2), "constant", 7), x), body.grids[x])
    p = body.largest(x)
    q = body.conv(x, 64, 3, 2)
    x = body.made(body.add(Concat(U8, 1, 2), p, q), body.grids[q])
    x = body.made(body.add(Transpose(U8, (0, 1, 3, 2)), x), body.grids[x])
    x = body.average(body.conv(x, 20), 3)
    flat = body.flat(x)
    codes = body.fully(flat, 70)
    y = grid(1 / 255, 0)
    soft = body.add(Softmax.of(body.grids[codes], y, 1), codes, name="output_0")
    return body.model(soft, flat), body.shapes["input_0"]
