"""Where activations live while a program is laid out: near (on chip), far (ddr_swap, an input's region), or both."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from axbuild.toolchain.graph import Shape
from axbuild.toolchain.kinds.base import Box, memory_shape
from axbuild.toolchain.npu.layout.allocate import Arena
from axbuild.toolchain.npu.layout.draft import Storage, packed_strides
from axbuild.toolchain.npu.program.form import ITEM_BYTES, MAX_REGION_BYTES, OCM, SWAP, Port


@dataclass(frozen=True)
class Far:
    """Bytes off chip: the region, the first byte, the name under which they were written, and whether we own them."""

    region: str
    begin: int
    tensor: str


@dataclass(eq=False)
class Home:
    """The bytes of one activation, shared by all tensors that are views of it.

    near: address on chip; uses: numbers of the operators that have yet to read it, ascending; unwritten: parts that
    are still to come, where it is made part by part.
    """

    name: str
    bytes: int
    near: int | None = None
    far: Far | None = None
    uses: list[int] = field(default_factory=list)
    unwritten: int = 0


@dataclass(eq=False)
class TensorPlace:
    """One tensor in its home, from byte `offset` on. shape: memory layout; far_strides: bytes, of the far copy (ports
    have their own)."""

    home: Home
    shape: Shape
    dtype: str
    far_strides: tuple[int, ...]
    offset: int = 0
    _near: Storage | None = None
    _far: Storage | None = None

    @property
    def bytes(self) -> int:
        return self.box().elements * ITEM_BYTES[self.dtype]

    def box(self) -> Box:
        """All of it."""
        return Box(tuple((0, size) for size in self.shape))

    def near(self) -> Storage | None:
        """The tensor on chip; the same object as long as it stays there."""
        if self.home.near is None:
            return None
        begin = self.home.near + self.offset
        if self._near is None or self._near.begin != begin:
            strides = packed_strides(self.shape, self.dtype)
            self._near = Storage(self.home.name, OCM, begin, strides, self.dtype, (0,) * len(self.shape))
        return self._near

    def far(self) -> Storage | None:
        far = self.home.far
        if far is None:
            return None
        begin = far.begin + self.offset
        if self._far is None or (self._far.region, self._far.begin) != (far.region, begin):
            origin = (0,) * len(self.shape)
            self._far = Storage(far.tensor, far.region, begin, self.far_strides, self.dtype, origin)
        return self._far

    def dense(self) -> Storage:
        """The tensor in a dense copy of its home."""
        strides = packed_strides(self.shape, self.dtype)
        return Storage(self.home.name, self.home.name, self.offset, strides, self.dtype, (0,) * len(self.shape))


class Memory:
    """The arenas of one program: parameters and maps on chip, and the swap space. high: names of the homes that are
    placed at the end of their arena."""

    def __init__(self, ocm_bytes: int, param_bytes: int, high: Collection[str] = ()) -> None:
        self.params = Arena(0, param_bytes)
        self.maps = Arena(param_bytes, ocm_bytes)
        self.swap = Arena(0, MAX_REGION_BYTES)
        self.homes: list[Home] = []
        self.high = high

    def settle(self, home: Home) -> None:
        """From now on a candidate for eviction and release."""
        self.homes.append(home)

    def take_near(self, home: Home) -> bool:
        """A place on chip for a home, if there is a gap."""
        home.near = self.maps.take(home.bytes, home.name in self.high)
        return home.near is not None

    def drop_near(self, home: Home) -> None:
        if home.near is not None:
            self.maps.give_back(home.near)
            home.near = None

    def take_far(self, home: Home) -> None:
        begin = self.swap.take(home.bytes)
        assert begin is not None, "the swap space is as large as a region may be"
        home.far = Far(SWAP, begin, home.name)

    def release(self, home: Home) -> None:
        """Everything a home holds, once nobody will read it again."""
        self.drop_near(home)
        if home.far is not None and home.far.region == SWAP:
            self.swap.give_back(home.far.begin)
        self.homes.remove(home)

    def victim(self, keep: set[int]) -> Home | None:
        """The home on chip whose next reader is farthest away; keep: ids of homes that must stay."""
        candidates = [h for h in self.homes if h.near is not None and not h.unwritten and id(h) not in keep]
        return max(candidates, key=lambda home: home.uses[0], default=None)


def port_strides(port: Port) -> tuple[int, ...]:
    """Strides of a port's C-order bytes, along the axes in memory layout."""
    strides = packed_strides(port.shape, port.dtype)
    if len(port.shape) == 4:
        return strides[0], strides[2], strides[3], strides[1]
    return strides


def place_of(name: str, shape: Shape, dtype: str) -> TensorPlace:
    """A new tensor in a home of its own, nowhere yet. shape: ONNX."""
    memory = memory_shape(shape)
    size = ITEM_BYTES[dtype]
    for extent in memory:
        size *= extent
    return TensorPlace(Home(name, size), memory, dtype, packed_strides(memory, dtype))


def port_storage(port: Port) -> Storage:
    """A port's bytes as a tensor in memory layout."""
    return Storage(port.name, port.name, 0, port_strides(port), port.dtype, (0,) * len(port.shape))
