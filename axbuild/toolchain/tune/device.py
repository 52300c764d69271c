"""Where torch computes."""

from __future__ import annotations

import os

import torch

# cuBLAS gives the same bits each time only with a workspace of its own, said before it is loaded.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def opened(name: str) -> torch.device:
    """The device "cpu" or "cuda:N": one thread, float32 in full, and, on the CPU always, the same bits each time."""
    device = torch.device(name)
    torch.set_num_threads(1)
    # What use_deterministic_algorithms does, which imports the compiler first. A few operators have no such kernel on
    # a GPU.
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "warn")
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return device
