"""Every case of every noun; importing it registers every oracle."""

from witness import mover, pool, table

CASES = [*mover.CASES, *pool.CASES, *table.CASES]
