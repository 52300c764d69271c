"""Where torch computes, and that there is a torch at all."""

from __future__ import annotations

import os

import torch

# cuBLAS gives the same bits each time only with a workspace of its own, said before it is loaded.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def opened(name: str) -> torch.device:
    """The device "cpu" or "cuda:N": one thread, float32 in full, and the same bits for the same inputs."""
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, which imports the compiler
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device(name)
