"""The script that mutates foreign bytes, for a moment of each kind; and that it sees what it looks for."""

from __future__ import annotations

import os
import signal
import time

import pytest
from stress.mutate import KINDS, outcome, run

from axbuild.errors import AxError
from axbuild.toolchain.frontend.check import TransformationError

ROUNDS = 60


@pytest.mark.parametrize("kind", KINDS)
def test_mutants_end_in_an_error_of_ours_or_are_read(kind, tmp_path):
    counts, wrong = run(kind, ROUNDS, 11, tmp_path / "here")
    assert wrong == []
    assert sum(counts.values()) == ROUNDS


@pytest.mark.parametrize("kind", KINDS)
def test_whole_ones_are_read(kind, tmp_path):
    assert outcome(KINDS[kind].reader(), KINDS[kind].make(), tmp_path / "here") == ("read", "")


class UserFault(AxError):
    code = "AX300"


def raises(error):
    def read(_data, _folder):
        raise error

    return read


OUTCOMES = {
    "refused": (raises(UserFault("no model")), "AX300", ""),
    "our own defect": (raises(TransformationError("x became y")), "AX306", "error AX306: x became y"),
    "another exception": (raises(KeyError("k")), "wrong", "KeyError: 'k'"),
    "native death": (lambda *_: os.kill(os.getpid(), signal.SIGKILL), "died", "died of signal 9"),
    "hang": (lambda *_: time.sleep(60), "too late", "took longer than 0.5 s"),
}


@pytest.mark.parametrize("how", OUTCOMES)
def test_how_a_reading_ended_is_told(how, tmp_path):
    read, word, wrong = OUTCOMES[how]
    found, said = outcome(read, b"", tmp_path / "here", seconds=0.5)
    assert (found, said.splitlines()[-1:]) == (word, [wrong] if wrong else [])
    assert not (tmp_path / "here").exists()
