"""What every test may count on."""

from __future__ import annotations

import os
import signal

# Before any test imports onnxruntime, which would queue what it sees of this machine below the user's home.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# A script's background job ignores Ctrl-C, and so would each command that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
