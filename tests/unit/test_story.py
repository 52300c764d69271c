"""A build told in chapters: their order, what waits, what is passed over."""

import json

import pytest

from axbuild.engine.records.events import ActionFinished, BuildFinished, Diagnostic
from axbuild.report.story import Chapter, Line, Products, Story, each
from axbuild.store.faults import BlobLost

STORED = {"d1": b'{"n": 1}', "d2": b'{"n": 2}'}


def ended(stage, action="", status="executed", **outputs):
    return ActionFinished("//:m", action or stage, stage, stage, "", status, "", 0.0, outputs=outputs)


def read(digest):
    if digest not in STORED:
        raise BlobLost(digest, "is missing")
    return STORED[digest]


def told(events, chapters):
    said = []
    story = Story(chapters, Products(read), said.append)
    for event in events:
        story(event)
    return [one.text for one in said]


def say(text):
    return lambda products: [Line(text)]


END = BuildFinished(0, {}, 0.0, {})
CHAPTERS = [Chapter("a", say("one")), Chapter("b", say("two")), Chapter("a", say("three"))]


def test_chapters_keep_their_order_whichever_action_ends_first():
    assert told([ended("b")], CHAPTERS) == []
    assert told([ended("b"), ended("a")], CHAPTERS) == ["one", "two", "three"]
    assert told([ended("a")], CHAPTERS) == ["one"]


@pytest.mark.parametrize("status", ["executed", "cached", "up_to_date"])
def test_what_is_valid_is_told_as_what_ran(status):
    assert told([ended("a", status=status), ended("b", status=status)], CHAPTERS) == ["one", "two", "three"]


@pytest.mark.parametrize("status", ["failed", "skipped"])
def test_what_made_nothing_is_not_told(status):
    assert told([ended("a"), ended("b", status=status)], CHAPTERS) == ["one"]


def test_the_end_passes_over_what_the_build_does_not_come_to():
    assert told([ended("a"), END], CHAPTERS) == ["one", "three"]


def test_a_chapter_of_several_actions_waits_for_all_of_them_and_one_of_unknown_many_for_the_end():
    two = [Chapter("a", say("both"), least=2), Chapter("b", say("then"))]
    assert told([ended("a", "a_1"), ended("b")], two) == []
    assert told([ended("a", "a_1"), ended("b"), ended("a", "a_2")], two) == ["both", "then"]
    assert told([ended("a", "a_1"), ended("b"), END], two) == ["both", "then"]
    many = [Chapter("a", lambda products: [Line(str(len(products.ended("a"))))], at_end=True)]
    assert told([ended("a", "a_1"), ended("a", "a_2")], many) == []
    assert told([ended("a", "a_1"), ended("a", "a_2"), END], many) == ["2"]


def test_of_a_build_that_breaks_nothing_is_told_beyond_the_gap():
    assert told([ended("a"), ended("b", status="failed"), END], CHAPTERS) == ["one"]


def test_products_are_read_by_stage_in_the_order_of_actions():
    def numbers(products):
        return [Line(str(found["n"])) for _, found in each(products, "a", "f")]

    events = [ended("a", "a_1", f="d2"), ended("a", "a_0", f="d1"), ended("b")]
    assert told(events, [Chapter("b", numbers)]) == ["1", "2"]


def test_a_chapter_whose_product_is_lost_is_told_when_it_is_made_again():
    chapters = [Chapter("a", lambda products: [Line(products.text(products.ended("a")[0], "f"))])]
    assert told([ended("a", f="gone"), END], chapters) == []
    assert told([ended("a", f="gone"), ended("a", f="d1")], chapters) == [STORED["d1"].decode()]
    assert json.loads(STORED["d1"]) == {"n": 1}


def test_a_warning_is_told_at_once_and_once_with_its_text_made_visible():
    warning = Diagnostic("//:m", "a", "a", "AX337", "odd \x1b[31m name", False)
    assert told([warning, warning], CHAPTERS) == ["AX337: odd \\x1b[31m name"]


def test_notes_are_kept_for_the_chapter_that_tells_them():
    note = Diagnostic("//:m", "a", "a", "", "by the way", False)
    chapters = [Chapter("a", lambda products: map(Line, products.notes("a")))]
    assert told([note, note, ended("a")], chapters) == ["by the way"]
