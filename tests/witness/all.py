"""Every case of every noun; importing it registers every oracle."""

from witness import mover, pool, reduce, table

CASES = [*mover.CASES, *pool.CASES, *reduce.CASES, *table.CASES]
