"""How a batch runs: early operators sample by sample, where maps are large; late ones together, where weights are.

Only nets whose operators keep samples apart have a batch (`net.at_batch`). One is unrolled at a cut: every
operator before it stands once for each sample, named `<op>#<n>`, on tensors `<tensor>#<n>`; those that later operators
read are parts of one whole tensor, side by side along axis 0.
"""

from __future__ import annotations

from axbuild.toolchain.npu.chips.preset import Chip
from axbuild.toolchain.npu.net import Net, Operator, Tensor
from axbuild.toolchain.npu.program.form import ITEM_BYTES

ROOM = 0.9
"""share of the room for maps that an operator's maps may take; the rest is lost between them"""
WAITING = 0.125
"""share of that room that what waits at a cut may take"""


def base_name(name: str) -> str:
    """The operator, or tensor, that an unrolled one stands for."""
    return name.partition("#")[0]


def cuts_of(net: Net, chip: Chip) -> list[int]:
    """Where to unroll, worth trying: from where on all maps of a whole batch fit on chip, and the first place behind
    it where little waits for the other samples."""
    room = ROOM * (chip.ocm_bytes - chip.param_bytes)
    first = max((i + 1 for i, op in enumerate(net.ops) if _map_bytes(net, op) > room), default=0)
    last = next((i for i, op in enumerate(net.ops) if op.output in net.outputs), len(net.ops))
    narrow = next((cut for cut in range(first, last) if _waiting_bytes(net, cut) <= WAITING * room), last)
    return sorted({min(first, last), narrow}) if first else []


def _waiting_bytes(net: Net, cut: int) -> int:
    """Bytes that operators before a cut leave to those behind it."""
    made = {op.output for op in net.ops[:cut]}
    return sum(_bytes(net.tensors[name]) for name in {n for op in net.ops[cut:] for n in op.inputs if n in made})


def _map_bytes(net: Net, op: Operator) -> int:
    return sum(_bytes(net.tensors[name]) for name in {*op.inputs, op.output})


def _bytes(tensor: Tensor) -> int:
    size = ITEM_BYTES[tensor.dtype]
    for extent in tensor.shape:
        size *= extent
    return size


def unrolled(one: Net, many: Net, cut: int, batch: int) -> Net:
    """`many` with the operators before `cut` sample by sample; one: the same net at batch 1.

    A constant stands once, before all others: it is every sample's.
    """
    constants = [op for op in many.ops[:cut] if not op.inputs]
    early = [op for op in many.ops[:cut] if op.inputs]
    common = {op.output for op in constants}
    made = {op.output for op in early}
    crossing = {name for op in many.ops[cut:] for name in op.inputs if name in made}
    read = {name for op in early for name in op.inputs} - common
    tensors = {name: t for name, t in many.tensors.items() if name not in made or name in crossing}
    parts: dict[str, tuple[str, int]] = {}
    ops = [*constants]
    for n in range(batch):
        for name in sorted(made | read):
            tensors[f"{name}#{n}"] = Tensor(f"{name}#{n}", one.tensors[name].dtype, one.tensors[name].shape)
            if name in crossing or name in many.inputs:
                parts[f"{name}#{n}"] = (name, n)
        for op in early:
            inputs = tuple(name if name in common else f"{name}#{n}" for name in op.inputs)
            ops.append(Operator(f"{op.name}#{n}", op.kind, inputs, f"{op.output}#{n}"))
    samples = {name: tuple(f"{name}#{n}" for n in range(batch)) for name in sorted(made - crossing)}
    return Net(many.inputs, many.outputs, tensors, (*ops, *many.ops[cut:]), parts, samples)
