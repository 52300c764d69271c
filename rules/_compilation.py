"""What may be said of a compilation: chip, mode, run-time inputs and the compiler's options, declared once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from axbuild.workspace.rule import Bool, Choice, Float, Records, Settled, Strings, Values, attributes_of

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


class GroupNodeEntry:
    """An operator of a pattern."""

    types = Strings("ONNX's types, of which it has one; any where none are named.")
    inputs = Strings("Of `match_mode` Op names of the pattern's own, of Tensor the model's tensors that it reads.")
    outputs = Strings("The same of what it writes; an operator that names another's output reads it.")
    properties = Values("Attributes that it has, as the optimised model writes them.", text=True, default={})


class GroupPatternEntry:
    """Operators one behind the other: each reads what the one before it writes, where its inputs name no other."""

    nodes = Records("The operators.", GroupNodeEntry, required=True)
    type = Choice("Bands of columns, channels or samples, or of rows.", ("Tile", "Slice"), default="Tile")
    match_mode = Choice("What names in `inputs` and `outputs` are.", ("Op", "Tensor"), default="Op")


def group_patterns() -> Records:
    """The attribute `compiler_group_patterns`."""
    return Records(
        "Operators to schedule as one chain wherever a pattern finds them; not a bit of what they compute changes.",
        GroupPatternEntry,
        vendor="compiler.compiler_group_patterns",
        example=[{"nodes": [{"types": ["Conv"]}, {"types": ["Relu"]}, {"types": ["Conv"]}], "type": "Slice"}],
    )


def patterns_of(t: Settled, where: str, patterns: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Parameters of the partition. where: the attribute, or the place in one, that holds them."""
    for number, one in enumerate(patterns):
        if not one["nodes"]:
            raise t.error(f"{where}[{number}].nodes", f"{where}[{number}].nodes is empty", code="AX106")
    return [dict(one) for one in patterns]


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
    compiler_group_patterns = group_patterns()


PATTERNS = "compiler_group_patterns"
OPTIONS = tuple(attributes_of(CompilerOptions))
NAMES = tuple(attributes_of(Compilation))
