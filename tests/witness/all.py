"""Every case of every noun; importing it registers every oracle."""

from witness import binary, border, island, mover, pool, reduce, softmax, table
from witness.base import oracle

__all__ = ["CASES", "oracle"]

NOUNS = (binary, border, island, mover, pool, reduce, softmax, table)
CASES = [case for noun in NOUNS for case in noun.CASES]
