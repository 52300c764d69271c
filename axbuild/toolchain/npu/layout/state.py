"""What the strategies of a layout share: the net and the chip, what has been written down, and where tensors lie."""

from __future__ import annotations

from axbuild.toolchain.npu.layout.choices import Choices
from axbuild.toolchain.npu.layout.constants import ConstantPieces
from axbuild.toolchain.npu.layout.material import Material
from axbuild.toolchain.npu.layout.places import Home, Memory, TensorPlace, place_of, port_storage
from axbuild.toolchain.npu.layout.prefetch import Prefetcher
from axbuild.toolchain.npu.layout.writer import Writer
from axbuild.toolchain.npu.net import Net
from axbuild.toolchain.npu.program.form import Port


class LayoutState:
    """One layout in the making.

    places: tensors that have been made, and parts of tensors that will be; outputs: the net's output ports by name,
    each one storage, so that parts which interleave are known to be apart.
    """

    def __init__(self, net: Net, material: Material, choices: Choices) -> None:
        self.net = net
        self.material = material
        self.chip = material.chip
        self.choices = choices
        self.cuts = {cut.position: cut for cut in choices.cuts}
        self.writer = Writer(self.chip)
        self.constants = ConstantPieces(net, material)
        self.memory = Memory(self.chip.ocm_bytes, self.constants.room(), choices.high)
        self.prefetcher = Prefetcher(self.memory.params, self.constants.in_order(), self.writer)
        self.outputs = {name: port_storage(self.port(name)) for name in net.outputs}
        self.places: dict[str, TensorPlace] = {}
        self._readers: dict[str, list[int]] = {name: [] for name in net.tensors}
        for position, op in enumerate(net.ops):
            for name in op.inputs:
                self._readers[name].append(position)

    def port(self, name: str) -> Port:
        """An input or output of the net."""
        tensor = self.net.tensors[name]
        return Port(name, tensor.dtype, tensor.shape)

    def new_place(self, name: str) -> TensorPlace:
        """A home of its own for a tensor of the net, nowhere yet."""
        tensor = self.net.tensors[name]
        return place_of(name, tensor.shape, tensor.dtype)

    def settle(self, name: str, place: TensorPlace) -> None:
        """From now on the tensor lies there, and its readers are the home's."""
        place.home.uses = sorted(place.home.uses + self._readers[name])
        self.places[name] = place
        if place.home not in self.memory.homes:
            self.memory.settle(place.home)

    def read_after(self, name: str, position: int) -> bool:
        """Whether an operator from that one on reads the tensor."""
        return bool(self._readers[name]) and self._readers[name][-1] >= position

    def read_once(self, name: str) -> None:
        """One reader of the tensor has been written down."""
        home = self.places[name].home
        home.uses.pop(0)
        self.release_unread(home)

    def release_unread(self, home: Home) -> None:
        if not home.uses and not home.unwritten and home in self.memory.homes:
            self.memory.release(home)

    def at_port(self, place: TensorPlace) -> bool:
        """Whether the tensor's bytes off chip are an input's own."""
        return place.home.far is not None and place.home.far.region in self.net.inputs
