"""Every case of every noun; importing it registers every oracle."""

from witness import (
    binary,
    border,
    gather,
    interpolate,
    island,
    mac,
    mover,
    norm,
    pool,
    reduce,
    rotary,
    select,
    softmax,
    table,
    with_constant,
)

NOUNS = (
    binary,
    border,
    gather,
    interpolate,
    island,
    mac,
    mover,
    norm,
    pool,
    reduce,
    rotary,
    select,
    softmax,
    table,
    with_constant,
)
CASES = [case for noun in NOUNS for case in noun.CASES]
