"""Every case of every noun; importing it registers every oracle."""

from witness import binary, border, table

CASES = [*table.CASES, *border.CASES, *binary.CASES]
