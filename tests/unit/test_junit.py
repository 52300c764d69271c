"""JUnit XML: what CI servers require of it, checked as their schema would."""

import re
from xml.etree import ElementTree

import pytest

from axbuild.engine.records.events import BuildFinished, BuildStarted, TestResult
from axbuild.report.junit import JUnit

SENTENCE = "sample 'd', output 'logits[0, 3]': 1.5 is not within 0.1 of 1.2 <&\"\x00\x1b>"
RESULTS = [
    TestResult("//m:check", True, "equal bit for bit", {"passed": True}, cached=True),
    TestResult("//m:equal", False, SENTENCE, {"passed": False, "worst": {"tensor": "logits"}}, seconds=1.25),
    TestResult("//m/sub:check", False, "needs //m:quant quantize, which failed", built=False),
]
COUNTS = dict.fromkeys(("executed", "cached", "up_to_date", "failed", "skipped"), 0)

# element -> (required attributes with the form of each, elements it may hold)
NUMBER, SECONDS, TEXT = r"\d+", r"\d+\.\d{3}", r".+"
SCHEMA = {
    "testsuites": ({"name": TEXT, "tests": NUMBER, "failures": NUMBER, "errors": NUMBER, "time": SECONDS}, "testsuite"),
    "testsuite": (
        {
            "name": TEXT,
            "tests": NUMBER,
            "failures": NUMBER,
            "errors": NUMBER,
            "skipped": NUMBER,
            "time": SECONDS,
            "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d",
        },
        "testcase",
    ),
    "testcase": ({"classname": TEXT, "name": TEXT, "time": SECONDS}, "failure error system-out"),
    "failure": ({"message": TEXT, "type": TEXT}, ""),
    "error": ({"message": TEXT, "type": TEXT}, ""),
    "system-out": ({}, ""),
}


def violations(element):
    attributes, inside = SCHEMA[element.tag]
    if element.attrib.keys() != attributes.keys():
        yield f"{element.tag} has {sorted(element.attrib)}"
    for name, form in attributes.items():
        if not re.fullmatch(form, element.get(name, ""), re.DOTALL):
            yield f"{element.tag} {name}={element.get(name)!r}"
    for child in element:
        if child.tag not in inside.split():
            yield f"{child.tag} in {element.tag}"
        else:
            yield from violations(child)


@pytest.fixture
def suites():
    junit = JUnit()
    end = BuildFinished(1, COUNTS, 2.5, {})
    for event in (BuildStarted("id", "test", ("//...",), 1_795_395_834.0, 2), *RESULTS, end):
        junit(event)
    return ElementTree.fromstring(junit.text())


def test_the_file_has_the_form_that_ci_servers_take(suites):
    assert list(violations(suites)) == []


def test_counts_and_times(suites):
    assert suites.attrib == {"name": "axbuild", "tests": "3", "failures": "1", "errors": "1", "time": "2.500"}
    names = {suite.get("name"): [suite.get(key) for key in ("tests", "failures", "errors", "time")] for suite in suites}
    assert names == {"//m": ["2", "1", "0", "1.250"], "//m/sub": ["1", "0", "1", "0.000"]}
    assert suites[0].get("timestamp") == "2026-11-23T01:03:54"


def test_every_check_is_a_case_with_its_sentence(suites):
    passed, failed, unjudged = suites.iter("testcase")
    assert (passed.get("classname"), passed.get("name")) == ("//m", "check")
    assert passed.find("system-out").text == "equal bit for bit (cached)"
    readable = SENTENCE.replace("\x00", r"\x00").replace("\x1b", r"\x1b")
    assert failed.find("failure").get("message") == readable
    assert failed.find("failure").text.splitlines() == [readable, "worst: tensor logits"]
    assert (unjudged.find("error").get("message"), unjudged.find("error").get("type")) == (
        "needs //m:quant quantize, which failed",
        "not built",
    )


def test_a_run_without_results_is_a_valid_file_too():
    suites = ElementTree.fromstring(JUnit().text())
    assert (list(violations(suites)), suites.get("tests")) == ([], "0")
