"""What an action is told of a chip: the figures it compiles with, the operators that the NPU takes, its nameplate.

They are values that travel as parameters. No stage reads the chips' files, so an edit of one chip's file reaches only
what is built for that chip.
"""

from __future__ import annotations

from dataclasses import dataclass

ALIGNMENT = 128
"""bytes: every operand of a job begins at a multiple of it"""


@dataclass(frozen=True)
class OnChip:
    """What a mode has on chip, for tiles of activations and for pieces of constants; lanes: output channels that a
    conv engine makes at once, whose constants are packed together."""

    npu_mode: str
    tile_bytes: int
    param_bytes: int
    lanes: int

    @property
    def piece_bytes(self) -> int:
        """Of a piece of constants, at most, where these can be cut."""
        return self.param_bytes // 4

    @classmethod
    def of(cls, npu_mode: str, ocm_bytes: int, prefetch_share: float, lanes: int) -> OnChip:
        """As the figures of a preset have it."""
        params = int(ocm_bytes * prefetch_share) // ALIGNMENT * ALIGNMENT
        return cls(npu_mode, (ocm_bytes - params) // ALIGNMENT * ALIGNMENT, params, lanes)


@dataclass(frozen=True)
class Preset:
    """The figures of a chip in one npu_mode: a chip file's `[figures]` under the mode's own from `[modes]`.

    Estimates, not the vendor's data: fitted to published cycle counts and board times of a handful of models
    (docs/benchmarks.md says which, and how far off each is).

    clock_mhz: what turns cycles into time.
    groups: core groups that take part, each with `engines` of every class: conv, teng (element-wise), cv (layout and
    moves), sdma (moves).
    mac_*: input channels x output channels x pixels that one conv engine multiplies in a cycle.
    dw_*: channels x pixels of a depthwise tap in a cycle.
    efficiency: share of the peak that dense convolutions reach.
    teng_elements: 8-bit elements a cycle of one group.
    conv_wide, teng_wide, teng_float: how many times slower 16-bit activations (conv, teng) and float32 (teng) are.
    ocm_bytes: on-chip memory; prefetch_share: the part of it that parameters running ahead may fill.
    ddr_bytes: bytes a cycle of the DDR queue, shared by all groups.
    mover_bytes: bytes a cycle of one cv or sdma engine.
    ocm_port_bytes: bytes a cycle that the engines of all groups together read and write on chip.
    op_overhead: cycles that setting up one operator takes.
    error_percent: largest deviation of this compiler's estimate from the published cycle counts it was compared with;
    -1: never compared.
    """

    name: str
    npu_mode: str
    clock_mhz: int
    groups: int
    engines: dict[str, int]
    mac_ci: int
    mac_co: int
    mac_px: int
    dw_channels: int
    dw_pixels: int
    efficiency: float
    teng_elements: int
    conv_wide: float
    teng_wide: float
    teng_float: float
    ocm_bytes: int
    ocm_port_bytes: int
    ddr_bytes: float
    mover_bytes: float
    op_overhead: int
    prefetch_share: float
    error_percent: float

    @property
    def memory(self) -> OnChip:
        return OnChip.of(self.npu_mode, self.ocm_bytes, self.prefetch_share, self.mac_co)


@dataclass(frozen=True)
class Support:
    """ONNX operators that the NPU of the chip `name` takes -> their limits, in the grammar of `support.py`.

    memory: of the mode that is meant; None where none is, and size is no limit.
    """

    name: str
    operators: dict[str, tuple[str, ...]]
    memory: OnChip | None = None


@dataclass(frozen=True)
class Nameplate:
    """What a container says of the chip and mode it is for; number: the chip's in `extra_data`."""

    name: str
    number: int
    npu_mode: str
