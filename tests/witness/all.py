"""Every case of every noun; importing it registers every oracle."""

from witness import mac, table

CASES = [*mac.CASES, *table.CASES]
