"""What a job keeps from run to run: while its constants stay the same, and while there is room."""

import numpy as np

from axbuild.toolchain.npu.simulator.base import KEPT_BYTES, Kept, KeptRoom


def test_constants_are_taken_apart_once_and_again_when_they_change():
    kept, made = Kept(KeptRoom()), []
    for value in (1, 1, 2, 2):
        constants = np.full(4, value, np.uint8)
        assert kept.of(constants, lambda c=constants: (made.append(int(c[0])) or len(made), 8)) == len(made)
    assert made == [1, 2]


def test_what_there_is_no_room_for_is_made_each_time_and_right():
    room, made = KeptRoom(), []
    first, second = Kept(room), Kept(room)
    assert first.of(np.zeros(4, np.uint8), lambda: ("first", KEPT_BYTES - 4)) == "first"
    assert room.left == 0
    for value in (1, 2, 2):
        assert second.of(np.full(4, value, np.uint8), lambda v=value: (made.append(v) or v, 8)) == value
    assert made == [1, 2, 2]
