"""Every case of every noun; importing it registers every oracle."""

from witness import mover, table

CASES = [*mover.CASES, *table.CASES]
