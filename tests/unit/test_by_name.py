"""Entries by name, with one for all others."""

import pytest

from axbuild.toolchain.by_name import DEFAULT, said_of


@pytest.mark.parametrize(
    ("said", "found"),
    [({"x": 1, DEFAULT: 2}, 1), ({DEFAULT: 2, "x": 1}, 1), ({"y": 1, DEFAULT: 2}, 2), ({"y": 1}, None), ({}, None)],
)
def test_an_entry_of_its_own_goes_before_that_of_all_others_whatever_their_order(said, found):
    assert said_of("x", said) == found
