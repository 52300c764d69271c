"""A chip as the compiler sees it: its preset with the engines counted out."""

from __future__ import annotations

from dataclasses import dataclass, replace

from axbuild.toolchain.kinds.base import Kind, Rates
from axbuild.toolchain.npu.chips.records import OnChip, Preset

ENGINE_CLASSES = ("conv", "teng", "cv", "sdma")
MOVERS = ("cv", "sdma")


@dataclass(frozen=True)
class Engine:
    """name as in traces: class and a number that counts over the chip; engine_class: one of ENGINE_CLASSES."""

    name: str
    engine_class: str


@dataclass(frozen=True)
class Chip:
    """One preset: a chip in one npu_mode. Rates are those of the whole mode; per-engine figures divide them."""

    name: str
    npu_mode: str
    clock_mhz: int
    engines: tuple[Engine, ...]
    rates: Rates
    ocm_bytes: int
    prefetch_share: float
    op_overhead: int
    ddr_bytes: float
    error_percent: float

    @property
    def memory(self) -> OnChip:
        return OnChip.of(self.npu_mode, self.ocm_bytes, self.prefetch_share, self.rates.mac_co)

    @property
    def param_bytes(self) -> int:
        """The part of the on-chip memory that holds parameters."""
        return self.memory.param_bytes

    def count(self, engine_class: str) -> int:
        return sum(engine.engine_class == engine_class for engine in self.engines)

    def engine_class(self, kind: Kind) -> str:
        """The class that runs a kind; a chip without a layout engine moves with sdma."""
        return kind.engine if self.count(kind.engine) else "sdma"

    def job_rates(self, engine_class: str) -> Rates:
        """What one engine of the class does: its own lanes, and its share of the on-chip ports."""
        engines = max(1, self.count(engine_class))
        return replace(
            self.rates,
            convs=1,
            teng_elements=max(1, self.rates.teng_elements // max(1, self.count("teng"))),
            ocm_port_bytes=max(1, self.rates.ocm_port_bytes // engines),
        )


def chip_of(preset: Preset, ddr_bw_limit: float = 0) -> Chip:
    """The chip of a preset; ddr_bw_limit in GB/s (0: none) lowers the DDR rate."""
    groups, ddr = preset.groups, preset.ddr_bytes
    if ddr_bw_limit:
        ddr = min(ddr, ddr_bw_limit * 1000 / preset.clock_mhz)
    classes = [c for _ in range(groups) for c in ENGINE_CLASSES for _ in range(preset.engines[c])]
    return Chip(
        name=preset.name,
        npu_mode=preset.npu_mode,
        clock_mhz=preset.clock_mhz,
        engines=tuple(Engine(f"{c}{i}", c) for i, c in enumerate(classes)),
        rates=Rates(
            convs=groups * preset.engines["conv"],
            mac_ci=preset.mac_ci,
            mac_co=preset.mac_co,
            mac_px=preset.mac_px,
            dw_channels=preset.dw_channels,
            dw_pixels=preset.dw_pixels,
            efficiency=preset.efficiency,
            teng_elements=groups * preset.teng_elements,
            ocm_port_bytes=preset.ocm_port_bytes,
            ddr_bytes=preset.ddr_bytes,
            mover_bytes=preset.mover_bytes,
            conv_wide=preset.conv_wide,
            teng_wide=preset.teng_wide,
            teng_float=preset.teng_float,
        ),
        ocm_bytes=preset.ocm_bytes,
        prefetch_share=preset.prefetch_share,
        op_overhead=preset.op_overhead,
        ddr_bytes=ddr,
        error_percent=preset.error_percent,
    )
