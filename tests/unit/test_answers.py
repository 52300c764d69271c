"""What is read out of a large file is read once for each content, also by the next process."""

import os

import pytest

from axbuild.workspace import answers
from axbuild.workspace.answers import Answers
from axbuild.workspace.disk import RealDisk

LONG_AGO_NS = 1_000_000_000_000_000_000


@pytest.fixture
def ask(tmp_path):
    """Ask for the words of the file m.onnx, with what earlier processes have kept; (answer, whether it was read)."""
    (tmp_path / "ws").mkdir()
    file = tmp_path / "ws/m.onnx"
    file.write_text("b a")

    def asked(code="one", path="m.onnx"):
        reads = []

        def words(stream):
            reads.append(path)
            return stream.read().decode().split()

        disk = RealDisk(str(tmp_path / "ws"))
        disk.answers = Answers(tmp_path / "answers.msgpack", code)
        found = disk.ask(path, words)
        assert path in disk.files
        assert path in disk.asked
        disk.answers.save()
        return found, bool(reads)

    asked.file, asked.kept = file, tmp_path / "answers.msgpack"
    return asked


@pytest.fixture
def settled(monkeypatch):
    """Every signature is old enough to stand for one content."""
    monkeypatch.setattr(answers, "has_settled", lambda *_: True)


def test_a_file_is_read_once(ask, settled):
    assert ask() == (["b", "a"], True)
    assert ask() == (["b", "a"], False)


def test_a_file_that_changed_or_other_code_asks_again(ask, settled):
    ask()
    ask.file.write_text("c")
    assert ask() == (["c"], True)
    os.utime(ask.file, ns=(LONG_AGO_NS, LONG_AGO_NS))
    assert ask() == (["c"], True)
    assert ask() == (["c"], False)
    assert ask("two") == (["c"], True)


def test_a_file_that_was_young_when_it_was_read_is_read_again(ask):
    assert ask() == (["b", "a"], True)
    assert ask() == (["b", "a"], True)


@pytest.mark.parametrize("planted", [b"", b"x" * 100, None])
def test_a_damaged_file_of_answers_is_none(ask, settled, planted):
    ask()
    data = ask.kept.read_bytes()
    ask.kept.write_bytes(data[:-3] if planted is None else planted)
    assert ask() == (["b", "a"], True)
    assert ask() == (["b", "a"], False)


def test_answers_are_few_and_short(ask, settled, monkeypatch):
    monkeypatch.setattr(answers, "LONGEST", 1)
    assert [ask(), ask()] == [(["b", "a"], True)] * 2
    monkeypatch.setattr(answers, "MOST", 1)
    ask.file.write_text("one")
    ask.file.with_name("other").write_text("two")
    assert [ask(), ask(path="other")] == [(["one"], True), (["two"], True)]
    assert ask(path="other") == (["two"], False)
    assert ask() == (["one"], True)


def test_a_place_that_cannot_be_written_costs_another_reading_and_nothing_else(ask, settled):
    ask.kept.mkdir()
    assert [ask(), ask()] == [(["b", "a"], True)] * 2
