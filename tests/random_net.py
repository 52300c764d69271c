"""Random float nets of nearly every op, with shared tensors and odd outputs, and random layer rules for them."""

import numpy as np
import onnx
from quantised import Net, loaded

from axbuild.toolchain.kinds.codes import CODES, FP32
from axbuild.toolchain.ops.registry import op_of
from axbuild.toolchain.quant.precision import LayerConfig

ACTIVATIONS = ("HardSwish", "LeakyRelu", "Sigmoid", "Tanh", "Gelu", "Elu", "Abs", "Neg", "Erf", "Softplus", "Sin")


class RandomNet(Net):
    """A pool of tensors, from which each new node reads one or two; some are given out as well as read."""

    def __init__(self, seed: int) -> None:
        super().__init__(1, 3, 6, 5, seed=seed)
        self.shapes = {"x": (1, 3, 6, 5)}
        for index in range(int(self.rng.integers(6, 14))):
            self.grow(f"t{index}")

    def grow(self, name: str) -> None:
        choices = [
            self.conv_layer,
            self.transposed,
            self.clamp,
            self.activation,
            self.pairwise,
            self.beside,
            self.apart,
            self.part,
            self.blocks,
            self.move,
            self.pool,
            self.constant_add,
            self.softmax,
            self.norm,
            self.reduction,
            self.border,
            self.layer,
        ]
        while not choices[int(self.rng.integers(len(choices)))](name):
            pass

    def pick(self, rank: int = 0) -> str:
        names = [name for name, shape in self.shapes.items() if rank in (0, len(shape))]
        return names[-1 - int(self.rng.integers(min(len(names), 4)))] if names else ""

    def put(self, op: str, inputs: list[str], name: str, shape: tuple[int, ...], **attributes: object) -> bool:
        self.add(op, inputs, name, **attributes)
        self.shapes[name] = shape
        return True

    def conv_layer(self, name: str) -> bool:
        x = self.pick(4)
        n, c, h, w = self.shapes[x] if x else (0, 0, 0, 0)
        if not x or h < 2 or w < 2:
            return False
        group = c if self.rng.random() < 0.3 else 1
        co = 2 * c if group > 1 and c < 12 else 4 * group
        self.conv(x, name, co, c, 2, group=group, pads=[1, 0, 0, 1])
        self.shapes[name] = (n, co, h, w)
        return True

    def transposed(self, name: str) -> bool:
        x = self.pick(4)
        n, c, h, w = self.shapes[x] if x else (0, 0, 0, 0)
        if not x or h * w > 100:
            return False
        group = 2 if c % 2 == 0 and self.rng.random() < 0.5 else 1
        kernel, pad = (int(self.rng.integers(2, 5)), int(self.rng.integers(2))) if h > 1 else (2, 0)
        weight, bias = self.weight(f"{name}_w", c, 2, kernel, 2), self.weight(f"{name}_b", 2 * group)
        shape = (n, 2 * group, 2 * (h - 1) + kernel - 2 * pad, w + 1)
        given = {"strides": [2, 1], "pads": [pad, 0, pad, 0], "group": group}
        return self.put("ConvTranspose", [x, weight, bias], name, shape, **given)

    def clamp(self, name: str) -> bool:
        x = self.pick()
        if self.rng.random() < 0.5:
            return self.put("Relu", [x], name, self.shapes[x])
        lo, hi = self.constant(f"{name}_lo", -0.5), self.constant(f"{name}_hi", 1.5)
        return self.put("Clip", [x, lo, hi], name, self.shapes[x])

    def activation(self, name: str) -> bool:
        x = self.pick()
        return self.put(ACTIVATIONS[int(self.rng.integers(len(ACTIVATIONS)))], [x], name, self.shapes[x])

    def pairwise(self, name: str) -> bool:
        a = self.pick()
        same = [b for b, shape in self.shapes.items() if shape == self.shapes[a]]
        op = ("Add", "Add", "Add", "Sub", "Mul", "Max", "Min")[int(self.rng.integers(7))]
        return self.put(op, [a, same[int(self.rng.integers(len(same)))]], name, self.shapes[a])

    def norm(self, name: str) -> bool:
        x = self.pick()
        size = self.shapes[x][-1]
        if size < 5:  # a handful may lie so close together that the norm makes steps of code large
            return False
        inputs = [x, self.weight(f"{name}_w", size), self.weight(f"{name}_b", size)]
        return self.put("LayerNormalization", inputs, name, self.shapes[x])

    def reduction(self, name: str) -> bool:
        x = self.pick(4)
        if not x:
            return False
        op = ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum")[int(self.rng.integers(4))]
        return self.put(op, [x, self.constant(f"{name}_a", np.array([-1]))], name, (*self.shapes[x][:3], 1))

    def apart(self, name: str) -> bool:
        x = self.pick(4)
        n, c, h, w = self.shapes[x] if x else (0, 0, 0, 0)
        if c < 2:
            return False
        sizes = self.constant(f"{name}_s", np.array([1, c - 1]))
        self.nodes.append(onnx.helper.make_node("Split", [x, sizes], [f"{name}_a", name], name=name, axis=1))
        self.shapes[f"{name}_a"], self.shapes[name] = (n, 1, h, w), (n, c - 1, h, w)
        return True

    def part(self, name: str) -> bool:
        x = self.pick(4)
        n, c, h, w = self.shapes[x] if x else (0, 0, 0, 0)
        if h < 3:
            return False
        step = (1, 2, -1)[int(self.rng.integers(3))]
        start, end = (h - 1, 0) if step < 0 else (1, h)
        ends = [self.constant(f"{name}_{i}", np.array([value])) for i, value in enumerate((start, end, 2, step))]
        return self.put("Slice", [x, *ends], name, (n, c, len(range(start, end, step)), w))

    def blocks(self, name: str) -> bool:
        x = self.pick(4)
        n, c, h, w = self.shapes[x] if x else (0, 0, 0, 0)
        if c >= 4 and c % 4 == 0 and h * w <= 64:
            return self.put("DepthToSpace", [x], name, (n, c // 4, 2 * h, 2 * w), blocksize=2, mode="CRD")
        fits = x and h % 2 == 0 and w % 2 == 0 and c <= 6
        return fits and self.put("SpaceToDepth", [x], name, (n, 4 * c, h // 2, w // 2), blocksize=2)

    def beside(self, name: str) -> bool:
        a = self.pick(4)
        fitting = [b for b, s in self.shapes.items() if len(s) == 4 and a and s[2:] == self.shapes[a][2:]]
        if not fitting:
            return False
        b = fitting[int(self.rng.integers(len(fitting)))]
        n, c, h, w = self.shapes[a]
        return c + self.shapes[b][1] <= 24 and self.put(
            "Concat", [a, b], name, (n, c + self.shapes[b][1], h, w), axis=1
        )

    def move(self, name: str) -> bool:
        x = self.pick()
        shape = self.shapes[x]
        if len(shape) == 4 and self.rng.random() < 0.5:
            return self.put("Transpose", [x], name, (shape[0], shape[1], shape[3], shape[2]), perm=[0, 1, 3, 2])
        if self.rng.random() < 0.3:
            return self.put("Identity", [x], name, shape)
        return self.put("Flatten", [x], name, (shape[0], int(np.prod(shape[1:]))), axis=1)

    def pool(self, name: str) -> bool:
        x = self.pick(4)
        n, c, h, w = self.shapes[x] if x else (0, 0, 0, 0)
        if not x or h < 2 or w < 2:
            return False
        if self.rng.random() < 0.2:
            return self.put("GlobalAveragePool", [x], name, (n, c, 1, 1))
        op = "MaxPool" if self.rng.random() < 0.5 else "AveragePool"
        return self.put(op, [x], name, (n, c, h - 1, w - 1), kernel_shape=[2, 2])

    def constant_add(self, name: str) -> bool:
        x = self.pick(4)
        return bool(x) and self.put("Add", [x, self.weight(f"{name}_c", self.shapes[x][1], 1, 1)], name, self.shapes[x])

    def softmax(self, name: str) -> bool:
        x = self.pick()
        return self.put("Softmax", [x], name, self.shapes[x], axis=int(self.rng.integers(1, len(self.shapes[x]))))

    def border(self, name: str) -> bool:
        x = self.pick(4)
        n, c, h, w = self.shapes[x] if x else (0, 0, 0, 0)
        if not x or h < 2 or w < 3:
            return False
        pads, mode = self.constant(f"{name}_p", np.array([0, 0, 1, 0, 0, 0, 0, 2])), ("constant", "reflect", "edge")
        return self.put("Pad", [x, pads], name, (n, c, h + 1, w + 2), mode=mode[int(self.rng.integers(3))])

    def layer(self, name: str) -> bool:
        x = self.pick(2)
        if not x:
            return False
        n, k = self.shapes[x]
        b = self.weight(f"{name}_b", 5)
        if self.rng.random() < 0.5:
            return self.put("Gemm", [x, self.weight(f"{name}_w", 5, k), b], name, (n, 5), transB=1)
        w = self.constant(f"{name}_w", self.rng.normal(0, k**-0.5, (k, 5)))
        self.add("MatMul", [x, w], f"{name}_m")
        return self.put("Add", [f"{name}_m", b], name, (n, 5))

    def ends(self) -> list[str]:
        """What nobody reads, and now and then something that is read too."""
        read = {name for node in self.nodes for name in node.input}
        last = [name for name in self.shapes if name not in read and name != "x"]
        inner = [name for name in self.shapes if name in read and name != "x" and self.rng.random() < 0.2]
        return [*last, *inner]


def random_rules(model: onnx.ModelProto, seed: int) -> list[LayerConfig]:
    """For half of the nodes any codes, or FP32 where the NPU computes in it, and weights of either width."""
    rng = np.random.default_rng(seed)
    codes = [kind.name for kind in CODES]
    rules = []
    for node in loaded(model).graph:
        op = op_of(node)
        floats = [FP32.name] if op is not None and op.island(node) else []
        data, weight = rng.choice([*codes, *floats]), rng.choice(["S8", "S16"])
        if rng.random() < 0.5:
            rules.append(LayerConfig(layer_name=node.name or "", data_type=str(data), weight_data_type=str(weight)))
    return rules
