"""Between numpy and torch by DLPack: torch's own way to numpy is shut where it was imported without it in sight, as a
worker does."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.dlpack import from_dlpack

from axbuild.toolchain.graph import Array


def to_tensor(array: Array, device: torch.device) -> Tensor:
    """A copy; reals become float32."""
    owned = np.array(array, np.float32 if array.dtype.kind == "f" else array.dtype, order="C")
    return from_dlpack(owned).to(device)


def to_array(tensor: Tensor) -> Array:
    found: Array = np.array(np.from_dlpack(tensor.detach().cpu()))
    return found
