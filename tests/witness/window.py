"""Windows over height and width, tap by tap."""

from witness.base import positions


def taps(window, row, column, height, width):
    """(tap row, tap column, input row, input column) of the taps of one output position that lie inside the input."""
    for i, j in positions(window.kernel):
        y = row * window.strides[0] - window.pads[0] + i * window.dilations[0]
        x = column * window.strides[1] - window.pads[1] + j * window.dilations[1]
        if 0 <= y < height and 0 <= x < width:
            yield i, j, y, x
