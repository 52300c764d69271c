"""Pieces of ONNX text that several bodies share.

In a body every value that was summed in float32 is cast to float64 at once: no optimiser of onnxruntime has a
fusion across that cast, so the same operations run at every optimisation level. Arithmetic is float64 on
integers below 2^53, or int64; both are exact.
"""

from __future__ import annotations

from axbuild.toolchain.kinds.codes import FP32, INT32, INT64, Edge, ElementType, Grid

FLOAT, I32, I64, DOUBLE = FP32.onnx, INT32.onnx, INT64.onnx, 11
"""element types as `to` of Cast takes them"""


def scalar(name: str, attribute: str, to: int) -> str:
    """Lines that define scalar `name` of element type `to` from an INT attribute of the function."""
    return f"""
  {name}_i = Constant <value_int: int = @{attribute}> ()
  {name} = Cast <to = {to}> ({name}_i)"""


def centred(name: str, code: str, grid: str, to: int) -> str:
    """Lines that define `name` = `code` less the zero of the field `grid`, in element type `to`."""
    return f"""{scalar(name + "_zero", grid + "_zero", to)}
  {name}_code = Cast <to = {to}> ({code})
  {name} = Sub ({name}_code, {name}_zero)"""


def requantised(acc: str, multiplier: str, y: ElementType) -> str:
    """Lines that end a body: y = clamp(floor(acc multiplier + 0.5) + y_zero); both arguments are float64."""
    return f"""
  scaled = Mul ({acc}, {multiplier}){rounded("scaled", y)}"""


def rounded(value: str, y: ElementType) -> str:
    """Lines that end a body: y = clamp(floor(value + 0.5) + y_zero); the argument is float64."""
    return f"""{_half_up("rounded", value)}{clamped("rounded", y)}"""


def saturated(value: str, y: ElementType) -> str:
    """As `rounded`, clamped to the ends of the type instead of lo..hi."""
    return f"""{_half_up("rounded", value)}{within("rounded", y)}"""


def within(value: str, y: ElementType) -> str:
    """Lines that end a body: y = the whole number `value`, a float64, + y_zero, clamped to the ends of the type."""
    return f"""
  lo_f = Constant <value = double {{{y.lo}.0}}> ()
  hi_f = Constant <value = double {{{y.hi}.0}}> (){_coded(value, y)}"""


def clamped(value: str, y: ElementType) -> str:
    """Lines that end a body: y = the float64 `value` + y_zero, clamped to lo..hi, as codes of type `y`."""
    return f"""{scalar("lo_f", "lo", DOUBLE)}{scalar("hi_f", "hi", DOUBLE)}{_coded(value, y)}"""


def _half_up(name: str, value: str) -> str:
    return f"""
  half = Constant <value = double {{0.5}}> ()
  raised = Add ({value}, half)
  {name} = Floor (raised)"""


def _coded(value: str, y: ElementType) -> str:
    return f"""{scalar("y_zero_f", "y_zero", DOUBLE)}
  moved = Add ({value}, y_zero_f)
  inside = Clip (moved, lo_f, hi_f)
  y = Cast <to = {y.onnx}> (inside)"""


def known(name: str, value: str) -> str:
    """Lines that define `name` = the float64 `value`, 0 where it is no number."""
    return f"""
  {name}_none = Constant <value = double {{0.0}}> ()
  {name}_unknown = IsNaN ({value})
  {name} = Where ({name}_unknown, {name}_none, {value})"""


def float64(name: str, attribute: str) -> str:
    """Lines that define the float64 scalar `name` from a FLOAT attribute of the function."""
    return f"""
  {name}_f = Constant <value_float: float = @{attribute}> ()
  {name} = Cast <to = {DOUBLE}> ({name}_f)"""


def real(name: str, tensor: str, field: str, edge: Edge) -> str:
    """Lines that define the float64 `name` = what elements of `tensor` stand for, which the field `field` says."""
    if not isinstance(edge, Grid):
        return f"""
  {name} = Cast <to = {DOUBLE}> ({tensor})"""
    return f"""{centred(f"{name}_steps", tensor, field, DOUBLE)}{float64(f"{name}_scale", f"{field}_scale")}
  {name} = Mul ({name}_steps, {name}_scale)"""


def real_out(value: str) -> str:
    """Lines that end a body: y = the float64 `value` as float32, a zero being the positive one."""
    return f"""
  y_none = Constant <value = double {{0.0}}> ()
  y_is_none = Equal ({value}, y_none)
  y_signed = Where (y_is_none, y_none, {value})
  y = Cast <to = {FLOAT}> (y_signed)"""


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


def looked_up(name: str, table: str, index: str) -> str:
    """Lines that define `name` = `table`[`index`], element by element. Gather, which copies rows, takes eight times as
    long."""
    return f"""
  {name}_all = Constant <value = int64[1] {{-1}}> ()
  {name}_flat = Reshape ({index}, {name}_all)
  {name}_found = GatherElements <axis = 0> ({table}, {name}_flat)
  {name}_shape = Shape ({index})
  {name} = Reshape <allowzero = 1> ({name}_found, {name}_shape)"""


def fenced(name: str, operation: str, a: str, b: str) -> str:
    """Lines that define `name` = a operation b, one IEEE operation on float32.

    In float64 and cast back it gives the same float32 (53 >= 2 x 24 + 2, and for subnormal results too: a product is
    exact, a sum needs no rounding, a quotient lies 2^-48 from every tie), and no optimiser fuses it with a neighbour.
    """
    return f"""
  {name}_a = Cast <to = {DOUBLE}> ({a})
  {name}_b = Cast <to = {DOUBLE}> ({b})
  {name}_d = {operation} ({name}_a, {name}_b)
  {name} = Cast <to = {FLOAT}> ({name}_d)"""
