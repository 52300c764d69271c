"""RoiAlign in words of other ONNX operators: onnxruntime has no kernel for it at our opset."""

from __future__ import annotations

SIGNATURE = (
    '<coordinate_transformation_mode: string = "half_pixel", output_height: int = 1, output_width: int = 1, '
    "sampling_ratio: int = 1, spatial_scale: float = 1.0> (x, regions, samples) => (y)"
)
EQUATION = (
    "y = a x[sample] b for each region: rows of a and columns of b hold what each pixel weighs in a bin, the mean over "
    "its samples of max(1 - distance, 0), the sample kept on the map, and nothing where it is over a pixel outside"
)


def _axis(name: str, near: str, far: str, bins: str, size: str) -> str:
    """`{name}_weights`, [regions, bins, size]: what each pixel along an axis weighs."""
    return f"""
  {name}_wanted = Sub ({far}, {near})
  {name}_extent = Max ({name}_wanted, least)
  {name}_bins = Constant <value_int: int = @{bins}> ()
  {name}_bins_f = Cast <to = 1> ({name}_bins)
  {name}_step = Div ({name}_extent, {name}_bins_f)
  {name}_numbers = Range (zero_i, {name}_bins, one_i)
  {name}_numbers_f = Cast <to = 1> ({name}_numbers)
  {name}_column = Reshape ({name}_numbers_f, down)
  {name}_step3 = Unsqueeze ({name}_step, last)
  {name}_near3 = Unsqueeze ({near}, last)
  {name}_before = Mul ({name}_column, {name}_step3)
  {name}_base = Add ({name}_near3, {name}_before)
  {name}_behind = Mul (inner, {name}_step3)
  {name}_within = Div ({name}_behind, ratio_f)
  {name}_place = Add ({name}_base, {name}_within)
  {name}_size_f = Cast <to = 1> ({size})
  {name}_under = Less ({name}_place, lowest)
  {name}_over = Greater ({name}_place, {name}_size_f)
  {name}_outside = Or ({name}_under, {name}_over)
  {name}_final = Sub ({name}_size_f, one)
  {name}_raised = Max ({name}_place, zero)
  {name}_kept = Min ({name}_raised, {name}_final)
  {name}_pixels = Range (zero_i, {size}, one_i)
  {name}_pixels_f = Cast <to = 1> ({name}_pixels)
  {name}_kept4 = Unsqueeze ({name}_kept, last)
  {name}_apart = Sub ({name}_kept4, {name}_pixels_f)
  {name}_distance = Abs ({name}_apart)
  {name}_closeness = Sub (one, {name}_distance)
  {name}_near_ones = Relu ({name}_closeness)
  {name}_outside4 = Unsqueeze ({name}_outside, last)
  {name}_counted = Where ({name}_outside4, zero, {name}_near_ones)
  {name}_weights = ReduceMean <keepdims = 0> ({name}_counted, third)"""


LINES = (
    """
  zero = Constant <value = float {0.0}> ()
  one = Constant <value = float {1.0}> ()
  half = Constant <value = float {0.5}> ()
  lowest = Constant <value = float {-1.0}> ()
  never = Constant <value = float {-3.0e38}> ()
  zero_i = Constant <value = int64 {0}> ()
  one_i = Constant <value = int64 {1}> ()
  last = Constant <value = int64[1] {-1}> ()
  third = Constant <value = int64[1] {2}> ()
  down = Constant <value = int64[3] {1, -1, 1}> ()
  flat = Constant <value = int64[3] {1, 1, -1}> ()
  scale = Constant <value_float: float = @spatial_scale> ()
  mode = Constant <value_string: string = @coordinate_transformation_mode> ()
  centres = Constant <value_string = "half_pixel"> ()
  is_half = Equal (mode, centres)
  offset = Where (is_half, half, zero)
  least = Where (is_half, never, one)
  ratio = Constant <value_int: int = @sampling_ratio> ()
  ratio_f = Cast <to = 1> (ratio)
  counted_i = Range (zero_i, ratio, one_i)
  counted_f = Cast <to = 1> (counted_i)
  middles = Add (counted_f, half)
  inner = Reshape (middles, flat)
  scaled = Mul (regions, scale)
  ends = Sub (scaled, offset)
  left, top, right, bottom = Split <axis = 1, num_outputs = 4> (ends)
  count1 = Shape <start = 0, end = 1> (x)
  count = Squeeze (count1)
  height1 = Shape <start = 2, end = 3> (x)
  height = Squeeze (height1)
  width1 = Shape <start = 3, end = 4> (x)
  width = Squeeze (width1)"""
    + _axis("row", "top", "bottom", "output_height", "height")
    + _axis("line", "left", "right", "output_width", "width")
    + """
  images = Range (zero_i, count, one_i)
  samples_i = Cast <to = 7> (samples)
  samples2 = Unsqueeze (samples_i, last)
  is_own = Equal (samples2, images)
  own = Cast <to = 1> (is_own)
  own_places = Constant <value = int64[2] {1, 3}> ()
  own4 = Unsqueeze (own, own_places)
  rows_place = Constant <value = int64[1] {2}> ()
  rows4 = Unsqueeze (row_weights, rows_place)
  rows_of = Mul (rows4, own4)
  all_pixels = Mul (count1, height1)
  row_count = Shape <start = 1, end = 2> (row_weights)
  all_rows_shape = Concat <axis = 0> (last, all_pixels)
  all_rows = Reshape (rows_of, all_rows_shape)
  stacked = Transpose <perm = [1, 0, 2, 3]> (x)
  channels = Shape <start = 1, end = 2> (x)
  stacked_shape = Concat <axis = 0> (channels, all_pixels, width1)
  tall = Reshape (stacked, stacked_shape)
  rows = MatMul (all_rows, tall)
  apart_shape = Concat <axis = 0> (channels, last, row_count, width1)
  apart = Reshape (rows, apart_shape)
  columns = Transpose <perm = [0, 2, 1]> (line_weights)
  cut = MatMul (apart, columns)
  y = Transpose <perm = [1, 0, 2, 3]> (cut)"""
)
