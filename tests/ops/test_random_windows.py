"""Windows of random forms through the whole way: front end, integers and simulated NPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from compiled import compiled
from frontend_way import simplified
from quantised import Net, float_run, quantised, sqnr

PLACES = ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric")
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


class Windows(Net):
    """One operator over one, two or three axes, each of its attributes drawn."""

    def __init__(self, seed: int) -> None:
        draw = np.random.default_rng(seed)
        self.axes, self.channels = int(draw.integers(1, 4)), int(draw.choice([1, 2, 4, 6]))
        super().__init__(1, self.channels, *(int(size) for size in draw.integers(3, 9, self.axes)), seed=seed)
        self.draw = draw
        self.kernel, self.strides = (self.numbers(1, 4) for _ in range(2))
        (self.convolved, self.transposed, self.pooled, self.padded, self.resized)[seed % 5]()

    def numbers(self, low: int, high: int) -> list[int]:
        return [int(number) for number in self.draw.integers(low, high, self.axes)]

    def one_of(self, *choices: Any) -> Any:
        return choices[int(self.draw.integers(len(choices)))]

    def windows(self) -> dict[str, Any]:
        pads = [int(self.draw.integers(0, size)) for size in self.kernel * 2]
        stand = self.one_of({"pads": pads}, {"auto_pad": self.one_of("SAME_UPPER", "SAME_LOWER", "VALID")}, {})
        return {"kernel_shape": self.kernel, "strides": self.strides, **stand}

    def convolved(self) -> None:
        group = self.one_of(1, self.channels)
        weight = self.weight("w", 2 * self.channels, self.channels // group, *self.kernel)
        given = self.windows() | self.one_of({}, {"dilations": self.numbers(1, 3)})
        self.add("Conv", ["x", weight, self.weight("b", 2 * self.channels)], "y", group=group, **given)

    def transposed(self) -> None:
        group = self.one_of(1, self.channels) if self.axes < 3 else 1
        weight = self.weight("w", self.channels, 3, *self.kernel)
        more = [int(self.draw.integers(0, stride)) for stride in self.strides]
        given = self.windows() | self.one_of({}, {"output_padding": more, "auto_pad": "NOTSET"})
        self.add("ConvTranspose", ["x", weight, self.weight("b", 3 * group)], "y", group=group, **given)

    def pooled(self) -> None:
        given = self.windows() | self.one_of({}, {"dilations": self.numbers(1, 3)})
        given |= {} if "auto_pad" in given else {"ceil_mode": self.one_of(0, 1)}
        if self.one_of(True, False):
            self.add("MaxPool", ["x"], "y", **given)
        else:
            self.add("AveragePool", ["x"], "y", count_include_pad=self.one_of(0, 1), **given)

    def padded(self) -> None:
        pads = self.constant("p", np.array([0, 0, *self.numbers(-1, 3)] * 2))
        self.add("Pad", ["x", pads], "y", mode=self.one_of("constant", "reflect", "edge", "wrap"))

    def resized(self) -> None:
        scales = [1, 1, *(self.one_of(0.5, 0.6, 1, 1.5, 2, 2.7, 3) for _ in range(self.axes))]
        given = {"coordinate_transformation_mode": self.one_of(*PLACES), "nearest_mode": self.one_of(*ROUNDINGS)}
        mode = self.one_of("nearest", "linear", "cubic" if self.axes == 2 else "linear")
        self.add("Resize", ["x", "", self.constant("s", np.float32(scales))], "y", mode=mode, **given)


@pytest.mark.parametrize("seed", range(60))
def test_every_form_is_whole_in_integers_and_close_to_float(seed):
    net = Windows(seed)
    samples = net.samples(2)
    after = simplified(net.model("y"))
    result = quantised(after, samples)
    assert result.float_ops() == []
    (found,) = result.run(samples[0])
    assert compiled(after, result).run(None, samples[0])[0].tobytes() == found.tobytes()
    assert sqnr(float_run(after, samples[0])[0], found) > 25
