"""Every case of every noun; importing it registers every oracle."""

from witness import (
    binary,
    border,
    float_function,
    gather,
    indexed,
    interpolate,
    island,
    mac,
    mover,
    norm,
    pool,
    reduce,
    sample,
    select,
    softmax,
    table,
    with_constant,
)

NOUNS = (
    binary,
    border,
    float_function,
    gather,
    indexed,
    interpolate,
    island,
    mac,
    mover,
    norm,
    pool,
    reduce,
    sample,
    select,
    softmax,
    table,
    with_constant,
)
CASES = [case for noun in NOUNS for case in noun.CASES]
