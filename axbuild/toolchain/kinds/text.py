"""Pieces of ONNX text that several bodies share, and checks that several kinds share.

In a body every value that was summed in float32 is cast to float64 at once: no optimiser of onnxruntime has a
fusion across that cast, so the same operations run at every optimisation level. Arithmetic is float64 on
integers below 2^53, or int64; both are exact.
"""

from __future__ import annotations

from axbuild.toolchain.kinds.base import ConstantError

FLOAT, UINT8, INT32, INT64, DOUBLE = 1, 2, 6, 7, 11
"""element types as `to` of Cast takes them"""


def scalar(name: str, attribute: str, to: int) -> str:
    """Lines that define scalar `name` of element type `to` from an INT attribute of the function."""
    return f"""
  {name}_i = Constant <value_int: int = @{attribute}> ()
  {name} = Cast <to = {to}> ({name}_i)"""


def centred(name: str, code: str, zero: str, to: int) -> str:
    """Lines that define `name` = `code` - attribute `zero` in element type `to`."""
    return f"""{scalar(name + "_zero", zero, to)}
  {name}_code = Cast <to = {to}> ({code})
  {name} = Sub ({name}_code, {name}_zero)"""


def requantised(acc: str, multiplier: str) -> str:
    """Lines that end a body: y = clamp(floor(acc multiplier + 0.5) + y_zero); both arguments are float64."""
    return f"""
  half = Constant <value = double {{0.5}}> ()
  scaled = Mul ({acc}, {multiplier})
  raised = Add (scaled, half)
  rounded = Floor (raised){clamped("rounded")}"""


def clamped(value: str) -> str:
    """Lines that end a body: y = the float64 `value` + y_zero, clamped to lo..hi, as uint8."""
    return f"""{scalar("y_zero_f", "y_zero", DOUBLE)}{scalar("lo_f", "lo", DOUBLE)}{scalar("hi_f", "hi", DOUBLE)}
  moved = Add ({value}, y_zero_f)
  inside = Clip (moved, lo_f, hi_f)
  y = Cast <to = {UINT8}> (inside)"""


def along(name: str, vector: str, like: str) -> str:
    """Lines that define `name` = the 1-D `vector` laid along the axis of attribute `axis` of the tensor `like`."""
    return f"""
  {name}_axis = Constant <value_int: int = @axis> ()
  {name}_shape = Shape ({like})
  {name}_rank = Size ({name}_shape)
  {name}_zero = Constant <value = int64 {{0}}> ()
  {name}_one = Constant <value = int64 {{1}}> ()
  {name}_all = Constant <value = int64 {{-1}}> ()
  {name}_axes = Range ({name}_zero, {name}_rank, {name}_one)
  {name}_here = Equal ({name}_axes, {name}_axis)
  {name}_laid = Where ({name}_here, {name}_all, {name}_one)
  {name} = Reshape ({vector}, {name}_laid)"""


def check_codes(what: str, **codes: int) -> None:
    """Raises ConstantError unless each named value is a code 0..255."""
    for name, code in codes.items():
        if not 0 <= code <= 255:
            raise ConstantError(f"{name} of {what} is {code}, which is no code of 0..255.")


def check_clamp(what: str, lo: int, hi: int) -> None:
    """Raises ConstantError unless 0 <= lo <= hi <= 255."""
    check_codes(what, lo=lo, hi=hi)
    if lo > hi:
        raise ConstantError(f"The clamp {lo}..{hi} of {what} is empty.")
