"""The checklist of the vendor's guide: whole, of tests that there are, and its page of these rows."""

from seed import checklist


def test_the_guide_has_its_rows_in_order():
    rows = [row for section in checklist.titles().values() for row in section]
    assert rows == [f"S{number}" for number in range(1, checklist.ROWS + 1)]


def test_what_is_named_for_a_row_is_a_test_that_there_is():
    assert [test for test in checklist.named() if not checklist.exists(test)] == []


def test_every_command_and_every_configuration_of_the_guide_is_listed():
    whats = [what for _, what, _ in checklist.printed()]
    assert sum("pulsar2 build --" in what for what in whats) == 6
    assert sum(what.startswith("config: ") for what in whats) == 19


def test_rows_are_of_the_guide():
    known = {row for section in checklist.titles().values() for row in section}
    assert checklist.shown_by().keys() - known == set()


def test_the_page_has_these_rows_and_every_test_passed():
    passed = dict.fromkeys(checklist.named(), "passed")
    assert checklist.PAGE.read_text(encoding="utf-8") == checklist.page(passed)


def test_a_row_whose_test_failed_or_did_not_run_says_so():
    (row, (test, *_)), *_ = ((row, tests) for row, tests in checklist.shown_by().items() if len(tests) == 1)
    failed = checklist.page({test: "failed"}).splitlines()
    passed = checklist.page({test: "passed"}).splitlines()
    assert [line.split(" | ")[2] for line in failed if line.startswith(f"| {row} |")] == ["failed"]
    assert [line.split(" | ")[2] for line in passed if line.startswith(f"| {row} |")] == ["passed"]
    assert sum("| not run |" in line for line in passed) > 1
