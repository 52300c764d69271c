"""Every case of every noun; importing it registers every oracle."""

from witness import binary, border, mover, pool, reduce, table

CASES = [*table.CASES, *border.CASES, *binary.CASES, *mover.CASES, *pool.CASES, *reduce.CASES]
