"""Which operators run together, band by band: chains that keep a map on chip which spills where they run one by one."""

from __future__ import annotations

from collections.abc import Iterable

from axbuild.toolchain.npu.layout.choices import OpChain
from axbuild.toolchain.npu.layout.emit import Emission
from axbuild.toolchain.npu.layout.material import Material
from axbuild.toolchain.npu.lower.packing import aligned
from axbuild.toolchain.npu.net import Net, Operator

ROWS = 1
"""memory axis that runs over the rows of a picture, and over the positions of a sequence"""
CONSTANTS_SHARE = 0.5
"""of the room for constants, which those of a chain may take: all of them stay while it runs"""


def spilled(emission: Emission) -> dict[str, int]:
    """Name of each tensor that went to ddr_swap -> bytes that moved for it, there and back; most first."""
    found: dict[str, int] = {}
    for draft in emission.drafts:
        if draft.cname in ("st:ddr_swap", "ld:ddr_swap"):
            name = draft.inputs[0].tensor
            found[name] = found.get(name, 0) + draft.ddr_bytes
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


class Chains:
    """Chains that a net allows on a chip."""

    def __init__(self, net: Net, material: Material) -> None:
        self.net = net
        self.material = material
        self.makers = {op.output: position for position, op in enumerate(net.ops)}
        self.last_readers = {name: n for n, op in enumerate(net.ops) for name in op.inputs}

    def pairs(self, names: Iterable[str], chains: tuple[OpChain, ...]) -> tuple[OpChain, ...]:
        """`chains`, and the maker of each of these tensors with its only reader, row by row, where that comes next and
        neither is in a chain."""
        for name in names:
            chain = self._over(name, ROWS)
            if chain and chain.stop - chain.start == 2 and not any(_meet(chain, other) for other in chains):
                chains = _sorted((*chains, chain))
        return chains

    def runs(self, names: Iterable[str], chains: tuple[OpChain, ...], axis: int = ROWS) -> tuple[OpChain, ...]:
        """`chains`, and everything from the maker of each of these tensors to its last reader, as one with the chains
        that this meets."""
        for name in names:
            chain = self._over(name, axis)
            joined = chain and self.joined(chain, chains)
            if joined:
                chains = joined
        return chains

    def _over(self, name: str, axis: int) -> OpChain | None:
        """From the tensor's maker to its last reader, where these can run together."""
        start, stop = self.makers.get(name), self.last_readers.get(name, -1) + 1
        if start is None or stop - start < 2:
            return None
        chain = OpChain(start, stop, axis)
        return chain if self.allows(chain) else None

    def joined(self, chain: OpChain, chains: tuple[OpChain, ...]) -> tuple[OpChain, ...] | None:
        """`chains` with this one, which takes up those that it meets; None where that cannot run together."""
        met = [other for other in chains if _meet(chain, other)]
        if chain in met:
            return None
        start = min([chain.start, *(other.start for other in met)])
        whole = OpChain(start, max([chain.stop, *(other.stop for other in met)]), chain.axis)
        return _sorted((*(c for c in chains if c not in met), whole)) if self.allows(whole) else None

    def span(self, outputs: Iterable[str]) -> tuple[int, int]:
        """From the first to behind the last of the operators that make these."""
        positions = [self.makers[name] for name in outputs]
        return min(positions), max(positions) + 1

    def around(self, chain: OpChain, chains: Iterable[OpChain]) -> tuple[OpChain, ...]:
        """`chain`, and those of the others that it does not meet."""
        return _sorted((*(other for other in chains if not _meet(chain, other)), chain))

    def allows(self, chain: OpChain) -> bool:
        return not self.fault(chain)

    def fault(self, chain: OpChain, others: Iterable[OpChain] = ()) -> str:
        """Why operators cannot run together, beside other chains that stay; "" where they can."""
        if chain.start < 0 or chain.stop > len(self.net.ops) or chain.stop - chain.start < 2:
            return "they are one operator of the NPU"
        if any(_meet(chain, other) for other in others):
            return "they lie among those of another group"
        ops = self.net.ops[chain.start : chain.stop]
        if odd := [op for op in ops if not self._allows(op, chain.axis)]:
            return f"{odd[0].kind.op_type} among them does not run in such bands"
        return "" if self._constants(ops) <= self._room else "their constants are too many to stay on chip"

    def _allows(self, op: Operator, axis: int) -> bool:
        shapes = self.net.shapes(op.inputs)
        moves = op.output in self.net.parts or op.kind.view(*shapes) or op.kind.permutes(*shapes)
        return bool(op.inputs) and not moves and axis in self.material.cutter(self.net, op).axes

    def _constants(self, ops: Iterable[Operator]) -> int:
        packs = [self.material.packed(self.net, op).pack for op in ops]
        return sum(aligned(pack.data.nbytes) for pack in packs if pack)

    @property
    def _room(self) -> float:
        return CONSTANTS_SHARE * self.material.chip.param_bytes


def _meet(a: OpChain, b: OpChain) -> bool:
    return a.start < b.stop and b.start < a.stop


def _sorted(chains: Iterable[OpChain]) -> tuple[OpChain, ...]:
    return tuple(sorted(chains, key=lambda chain: chain.start))
