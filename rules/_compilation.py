"""What may be said of a compilation: chip, mode, run-time inputs and the compiler's options, declared once."""

from __future__ import annotations

from axbuild.workspace.rule import Bool, Choice, Float, attributes_of

from ._chips import CHIPS, MODES
from ._processors import declared, declared_outputs


class CompilerOptions:
    """Options of the compiler: they travel together, as `CompileOptions` of the toolchain, to whoever reads one."""

    ddr_bw_limit = Float(
        "Limit of the DDR bandwidth that is planned with, in GB/s; 0 is none.",
        low=0.001,
        also=0,
        default=0,
        vendor="compiler.ddr_bw_limit",
    )
    enable_slice_mode = Bool(
        "Run chains of operators depth first, band of rows by band, where maps would leave the chip between them; kept "
        "where it takes no more cycles and moves no more bytes.",
        vendor="compiler.enable_slice_mode",
    )
    enable_tile_mode = Bool(
        "As `enable_slice_mode`, in bands of columns, channels or samples; kept on the same terms.",
        vendor="compiler.enable_tile_mode",
    )
    effort = Choice(
        "How long a better schedule is searched for: not at all, or in both modes and 32 layouts more, or 256.",
        ("fast", "normal", "high"),
        default="fast",
    )


class Compilation(CompilerOptions):
    """The attributes of every target that compiles."""

    target_hardware = Choice("The chip to compile for.", tuple(CHIPS), default="AX650", vendor="target_hardware")
    npu_mode = Choice("How much of the chip's NPU is used.", MODES, default="NPU1", vendor="npu_mode")
    input_processors = declared()
    output_processors = declared_outputs()
    disable_ir_fix = Bool(
        "Take the shapes in Reshapes as they are at batches above 1, too: one that begins with a number is then an "
        "error. Without it the number becomes that of the samples.",
        vendor="compiler.disable_ir_fix",
    )
    npu_perf = Bool(
        "Write where the time goes under compiler/debug/: trace.json, op_profile.csv, summary.json and profile.html.",
        vendor="compiler.npu_perf",
    )


OPTIONS = tuple(attributes_of(CompilerOptions))
NAMES = tuple(attributes_of(Compilation))
