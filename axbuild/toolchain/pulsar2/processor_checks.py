"""Contradictions in what a compiled model does to its inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator

from axbuild.errors import AxWarning
from axbuild.toolchain.by_name import DEFAULT
from axbuild.toolchain.pulsar2 import enums
from axbuild.toolchain.pulsar2.contradiction import ContradictionError, differs, idle, refuse_twins, told
from axbuild.toolchain.pulsar2.marked import shown
from axbuild.toolchain.pulsar2.schema import BuildConfig, InputProcessorConfig

_MATRIX_SIZE = 12
_COLUMNS = 4
_BIAS_BOUNDS = (-9, 8)
_FACTOR_BOUNDS = (-524289, 524288)
"""open intervals that csc_mat's last column, and the rest of it, must lie in"""


def check_input_processors(config: BuildConfig) -> Iterator[AxWarning]:
    entries = config.input_processors or ()
    refuse_twins("input_processors", "tensor_name", entries)
    for index, entry in enumerate(entries):
        path = f"input_processors[{index}]"
        _check_amounts(entry, path)
        yield from _check_conversion(entry, path)
        if differs(entry, "padding_constant_value") and not entry.padding:
            yield idle(f"{path}.padding_constant_value", "without padding", entry)
        if differs(entry, "zeropoint") and not entry.scale:
            yield idle(f"{path}.zeropoint", "without scale", entry)
    _check_extra_shapes(entries)


def _check_amounts(entry: InputProcessorConfig, path: str) -> None:
    for field in ("padding", "slicing"):
        amounts = getattr(entry, field) or ()
        if len(amounts) % 2:
            hint = "begin and end of each axis in turn: [0, 0, 0, 0, 0, 1, 0, 1] cuts the last row and column"
            raise ContradictionError(f"{path}.{field} has {len(amounts)} amounts, an odd count", entry, field, hint)
    mean, std = entry.mean or (), entry.std or ()
    if mean and std and len(mean) != len(std):
        raise ContradictionError(f"{path} has {len(mean)} mean and {len(std)} std", entry, "std")


def _check_conversion(entry: InputProcessorConfig, path: str) -> Iterator[AxWarning]:
    source = entry.src_format or "AutoColorSpace"
    model = entry.tensor_format or "AutoColorSpace"
    mode = entry.csc_mode or "NoCSC"
    if mode == "Matrix":
        _check_matrix(entry, path)
    if source in enums.YUV:
        yield from _check_yuv(entry, path, source, model, mode)
    else:
        if {source, model} == {"BGR", "RGB"}:
            sentence = f"{path}: {source} does not become {model}; channels are taken in the order in which they come"
            yield told("AX527", sentence, entry, "src_format")
        if differs(entry, "csc_mode"):
            yield idle(f"{path}.csc_mode", f"with src_format {source}, which is not converted", entry)
    if differs(entry, "csc_mat") and mode != "Matrix":
        yield idle(f"{path}.csc_mat", f"with csc_mode {mode}", entry)


def _check_yuv(entry: InputProcessorConfig, path: str, source: str, model: str, mode: str) -> Iterator[AxWarning]:
    if mode == "NoCSC":
        hint = "FullRange for most cameras, LimitedRange for video streams, or Matrix with csc_mat"
        raise ContradictionError(f"{path}: src_format {source} needs a csc_mode", entry, "src_format", hint)
    if model not in ("BGR", "RGB"):
        sentence = f"{path}: src_format {source} becomes BGR or RGB, and tensor_format is {model}"
        field = "tensor_format" if entry.tensor_format else "src_format"
        raise ContradictionError(sentence, entry, field, "say which of them the model takes in tensor_format")
    if entry.src_layout == "NCHW":
        yield idle(f"{path}.src_layout", f"with src_format {source}, which is NHWC", entry)


def _check_matrix(entry: InputProcessorConfig, path: str) -> None:
    matrix = entry.csc_mat or ()
    if len(matrix) != _MATRIX_SIZE:
        hint = "3 rows of 4, a row a channel of tensor_format: factors of Y, U and V, then what is added"
        field = "csc_mat" if matrix else "csc_mode"
        sentence = f"{path}.csc_mat takes {_MATRIX_SIZE} numbers with csc_mode Matrix, got {len(matrix)}"
        raise ContradictionError(sentence, entry, field, hint)
    for index, number in enumerate(matrix):
        low, high = _BIAS_BOUNDS if index % _COLUMNS == _COLUMNS - 1 else _FACTOR_BOUNDS
        if not low < number < high:
            sentence = f"{path}.csc_mat[{index}] takes a number above {low} and below {high}, got {shown(number)}"
            hint = "what is added is a share of full scale, 1 for 256" if high == _BIAS_BOUNDS[1] else ""
            raise ContradictionError(sentence, entry, "csc_mat", hint)


def _check_extra_shapes(entries: tuple[InputProcessorConfig, ...]) -> None:
    counts = [len(entry.src_extra_shapes or ()) for entry in entries]
    for index, (entry, count) in enumerate(zip(entries, counts, strict=True)):
        if count != counts[0]:
            sentence = (
                f"input_processors[{index}] has {count} src_extra_shapes, and input_processors[0] has {counts[0]}"
            )
            hint = "each input has as many: those of one index are one size of the model"
            raise ContradictionError(sentence, entry, "src_extra_shapes", hint)


def check_output_processors(config: BuildConfig) -> Iterator[AxWarning]:
    entries = config.output_processors or ()
    refuse_twins("output_processors", "tensor_name", entries)
    for index, entry in enumerate(entries):
        order = entry.dst_perm or ()
        if sorted(order) != list(range(len(order))):
            sentence = f"output_processors[{index}].dst_perm is {shown(order)}, no order of axes"
            raise ContradictionError(sentence, entry, "dst_perm", "as in [0, 2, 3, 1]")
        if entry.tensor_layout == "NHWC":
            reason = "here: an output keeps the model's order of axes, but for dst_perm"
            yield idle(f"output_processors[{index}].tensor_layout", reason, entry)
    if entries and all(entry.tensor_name != DEFAULT for entry in entries):
        sentence = "outputs without an entry of output_processors keep their axes and leave in FP32"
        yield told("AX528", sentence, config, "output_processors")
