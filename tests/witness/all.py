"""Every case of every noun; importing it registers every oracle."""

from witness import binary, border, gather, island, mac, mover, norm, pool, reduce, select, softmax, table

NOUNS = (binary, border, gather, island, mac, mover, norm, pool, reduce, select, softmax, table)
CASES = [case for noun in NOUNS for case in noun.CASES]
