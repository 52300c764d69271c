"""Element-wise work in blocks that stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from axbuild.toolchain.graph import Array

BLOCK = 1 << 14
"""elements of a block: at 8 bytes an operand, a few of them fit the level-2 cache"""


def blocks(target: Array, *sources: Array, dtype: Any) -> Iterator[tuple[Array, ...]]:
    """(1-D block of each source as `dtype`, then of the target) over all elements; sources broadcast to the target.

    What is written to a block of the target stands in it once the loop goes on.
    """
    access: Any = [*(["readonly"] for _ in sources), ["writeonly"]]
    walk = np.nditer(
        [*sources, target],
        ["external_loop", "buffered", "zerosize_ok"],
        access,
        [*(dtype for _ in sources), target.dtype],
        casting="unsafe",
        itershape=target.shape,
        buffersize=BLOCK,
    )
    with walk:
        yield from walk
