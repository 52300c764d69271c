"""Every case of every noun; importing it registers every oracle."""

from witness import binary, border, gather, island, mover, norm, pool, reduce, select, softmax, table

CASES = [
    *binary.CASES,
    *border.CASES,
    *gather.CASES,
    *island.CASES,
    *mover.CASES,
    *norm.CASES,
    *pool.CASES,
    *reduce.CASES,
    *select.CASES,
    *softmax.CASES,
    *table.CASES,
]
