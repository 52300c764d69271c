"""What the end of a build says of schedules that were made better."""

from axbuild.toolchain.axmodel.facts import gains


def step(name: str, trials: int, cycles: int, swap_bytes: int) -> dict[str, object]:
    return {"name": name, "trials": trials, "cycles": cycles, "swap_bytes": swap_bytes}


def test_each_mode_and_the_search_say_what_they_won_over_all_subgraphs():
    first = [step("start", 2, 1000, 64), step("slice", 3, 900, 0), step("tile", 1, 900, 0), step("search", 32, 850, 0)]
    other = [
        step("start", 1, 500, 36),
        step("slice", 0, 500, 36),
        step("tile", 0, 500, 36),
        step("search", 32, 499, 36),
    ]
    assert list(gains([first, other])) == [
        "slice mode: 1,500 -> 1,400 cycles, 100 -> 36 bytes swapped, the best of 3 layouts",
        "tile mode: nothing better in 1 layout",
        "searched: 1,400 -> 1,349 cycles, 36 -> 36 bytes swapped, the best of 64 layouts",
    ]


def test_what_was_not_tried_is_not_told():
    assert list(gains([[step("start", 1, 1000, 0)]])) == []
    assert list(gains([])) == []
