"""What all layouts of a net on a chip have in common, worked out once: packed constants, and how operators are cut."""

from __future__ import annotations

from axbuild.toolchain.npu.chips.preset import Chip
from axbuild.toolchain.npu.layout.tile import Cutter
from axbuild.toolchain.npu.lower.base import Geometry
from axbuild.toolchain.npu.lower.packing import Packed, Standing, packed
from axbuild.toolchain.npu.net import Net, Operator

Place = tuple[int, tuple[tuple[int, ...], ...], tuple[int, ...]]
"""identity of a kind, and the shapes of its inputs and output"""


class Material:
    """Of one chip; operators that stand for samples of a batch share their kind, and so what is here."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self._packed: dict[Place, tuple[Standing, Packed]] = {}
        self._cutters: dict[Place, Cutter] = {}
        self._bytes: dict[int, bytes] = {}

    def packed(self, net: Net, op: Operator) -> Packed:
        place = _place(net, op)
        if place not in self._packed:
            standing = Standing(op.kind, place[1], place[2])
            self._packed[place] = standing, packed(standing, self.chip.memory)
        return self._packed[place][1]

    def blob(self, found: Packed) -> bytes:
        """The bytes of a pack; the same object each time, so that it is hashed once."""
        assert found.pack is not None, "only constants have bytes"
        data = found.pack.data
        if id(data) not in self._bytes:
            self._bytes[id(data)] = data.tobytes()
        return self._bytes[id(data)]

    def cutter(self, net: Net, op: Operator) -> Cutter:
        place = _place(net, op)
        if place not in self._cutters:
            geometry = Geometry(place[1], place[2], self.packed(net, op).block)
            engine_class = self.chip.engine_class(op.kind)
            rates, engines = self.chip.job_rates(engine_class), self.chip.count(engine_class)
            self._cutters[place] = Cutter(op.kind, geometry, rates, engines)
        return self._cutters[place]


def _place(net: Net, op: Operator) -> Place:
    return id(op.kind), net.shapes(op.inputs), net.tensors[op.output].shape
