"""Pre- and post-processing of a configuration as attributes of an axmodel."""

from __future__ import annotations

from collections.abc import Iterator, Set

from axbuild.toolchain.by_name import DEFAULT
from axbuild.toolchain.pulsar2.enums import YUV
from axbuild.toolchain.pulsar2.mapped import MappedFields, PlacedTable
from axbuild.toolchain.pulsar2.schema import BuildConfig, InputProcessorConfig

_TAKEN_OVER = (
    "tensor_format",
    "tensor_layout",
    "src_format",
    "src_dtype",
    "src_layout",
    "csc_mode",
    "csc_mat",
    "slicing",
    "padding",
    "padding_mode",
    "padding_constant_value",
    "mean",
    "std",
    "scale",
    "zeropoint",
)


def input_processors(config: BuildConfig, formats: Set[str | None]) -> list[PlacedTable]:
    """formats: inputs whose tensor_format stands in their calibration set. An entry that says nothing else is
    none, but for an input that no set is for, which is to be looked for."""
    found = []
    for number, message in enumerate(config.input_processors or ()):
        fields = MappedFields(message, f"input_processors[{number}]")
        entry = fields.copy("tensor_name", *_TAKEN_OVER)
        if message.tensor_name in formats:
            entry.pop("tensor_format", None)
        for name in _idle(message):
            entry.pop(name, None)
        fields.take("src_extra_shapes")
        fields.finish({})
        if len(entry) > 1 or message.tensor_name not in {DEFAULT, *formats}:
            found.append(entry)
    return found


def _idle(message: InputProcessorConfig) -> Iterator[str]:
    """MappedFields that have no effect, which is an error in a BUILD file and for the vendor none."""
    if not message.padding:
        yield "padding_constant_value"
    if message.src_format not in YUV:
        yield from ("csc_mode", "csc_mat")
    elif message.csc_mode != "Matrix":
        yield "csc_mat"
    if message.tensor_layout != "NHWC":
        yield "tensor_layout"
    if not message.scale:
        yield from ("scale", "zeropoint")


def output_processors(config: BuildConfig) -> list[PlacedTable]:
    found = []
    for number, message in enumerate(config.output_processors or ()):
        fields = MappedFields(message, f"output_processors[{number}]")
        entry = fields.copy("tensor_name", "dst_perm", "output_dtype")
        fields.take("tensor_layout")  # says what the model has; the order at run time is dst_perm's
        if len(entry) > 1 or message.tensor_name != DEFAULT:
            found.append(entry)
    return found


def extra_shapes(config: BuildConfig) -> list[dict[str, list[int]]]:
    """The shapes of each input as groups: the n-th shape of every input makes group n + 1."""
    groups: list[dict[str, list[int]]] = []
    for message in config.input_processors or ():
        shapes = [list(one.shape or ()) for one in message.src_extra_shapes or ()]
        groups = groups or [{} for _ in shapes]
        for group, shape in zip(groups, shapes, strict=True):
            group[str(message.tensor_name)] = shape
    return groups
