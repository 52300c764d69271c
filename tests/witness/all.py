"""Every case of every noun; importing it registers every oracle."""

from witness import gather, mover, pool, reduce, table

CASES = [*gather.CASES, *mover.CASES, *pool.CASES, *reduce.CASES, *table.CASES]
