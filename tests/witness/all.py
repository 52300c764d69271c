"""Every case of every noun; importing it registers every oracle."""

from witness import binary, border, gather, island, mac, mover, pool, reduce, softmax, table

CASES = [
    *binary.CASES,
    *border.CASES,
    *gather.CASES,
    *island.CASES,
    *mac.CASES,
    *mover.CASES,
    *pool.CASES,
    *reduce.CASES,
    *softmax.CASES,
    *table.CASES,
]
