"""The script that mutates foreign bytes, for a moment of each kind."""

from __future__ import annotations

import pytest
from stress.mutate import KINDS, run


@pytest.mark.parametrize("kind", KINDS)
def test_mutants_end_in_an_error_of_ours_or_are_read(kind, tmp_path):
    counts, wrong = run(kind, 250, 11, tmp_path / "here")
    assert wrong == []
    assert sum(counts.values()) == 250


def test_the_mutants_that_once_escaped_are_found_out(tmp_path):
    """A member without a name, of which zipfile asks the last letter."""
    counts, wrong = run("zip", 1700, 11, tmp_path / "here")
    assert (wrong, sum(counts.values())) == ([], 1700)
