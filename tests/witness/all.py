"""Every case of every noun; importing it registers every oracle."""

from witness import table

CASES = [*table.CASES]
