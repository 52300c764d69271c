"""Labels and patterns: what they mean, what they refuse, and the words of the refusal."""

import pytest

from axbuild.codes import exit_code_of
from axbuild.workspace.label import BadLabel, canonical, parse_pattern, parse_patterns, split


@pytest.mark.parametrize(
    ("text", "package", "label"),
    [
        ("//mobilenet/v2:quant", "", "//mobilenet/v2:quant"),
        ("//mobilenet/v2", "", "//mobilenet/v2:v2"),
        ("//mobilenet", "other", "//mobilenet:mobilenet"),
        ("//:photographs", "other", "//:photographs"),
        (":quant", "mobilenet/v2", "//mobilenet/v2:quant"),
        (":quant", "", "//:quant"),
        ("//a.b/c-d+e:f_1.5", "", "//a.b/c-d+e:f_1.5"),
    ],
)
def test_a_label_has_one_canonical_text(text, package, label):
    assert canonical(text, package) == label


def test_a_label_splits_into_package_and_name():
    assert split("//a/b:c") == ("a/b", "c")
    assert split("//:c") == ("", "c")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quant", "error AX200: 'quant' is not a label: it must begin with // or :\n"
                  "  hint: write ':quant' for a target of this package"),
        ("a/b:c", "error AX200: 'a/b:c' is not a label: it must begin with // or :"),
        ("//m:axmodel@npu_mode=NPU2", "error AX200: '//m:axmodel@npu_mode=NPU2' is not a label: "
                                      "it names a variant, and targets have no variants"),
        ("//m/...", "error AX200: '//m/...' is not a label: a pattern stands where one target is asked for"),
        ("//m:a b", "error AX200: '//m:a b' is not a label: a target's name is made of letters, digits and _ . + -"),
        ("//", "error AX200: '//' is not a label: expected //package:name, //package or :name; "
               "names are made of letters, digits and _ . + -"),
    ],
)  # fmt: skip
def test_a_bad_label_says_why(text, message):
    with pytest.raises(BadLabel) as raised:
        canonical(text, "m")
    assert str(raised.value) == message
    assert exit_code_of(raised.value.code) == 2


@pytest.mark.parametrize(
    "text", ["", ":", "::a", "//a//b", "//a/", "///a", "//a:b:c", "//../a", "//a/.hidden", "//a:b/c", "/a:b", "//a:b\n"]
)
def test_other_spellings_are_refused(text):
    with pytest.raises(BadLabel):
        canonical(text, "m")


def test_a_relative_label_outside_a_package_is_refused():
    with pytest.raises(BadLabel, match="a label outside a package must begin with //"):
        canonical(":calib", None)


LABELS = ["//:root", "//m:m", "//m:quant", "//m/sub:quant", "//m/sub:sub", "//many:m"]


@pytest.mark.parametrize(
    ("text", "package", "matches"),
    [
        ("//...", "m", LABELS),
        ("...", "", LABELS),
        ("...", "m", ["//m:m", "//m:quant", "//m/sub:quant", "//m/sub:sub"]),
        ("sub/...", "m", ["//m/sub:quant", "//m/sub:sub"]),
        ("//m/...", "", ["//m:m", "//m:quant", "//m/sub:quant", "//m/sub:sub"]),
        ("//m:all", "", ["//m:m", "//m:quant"]),
        (":all", "m", ["//m:m", "//m:quant"]),
        ("//:all", "m", ["//:root"]),
        (":quant", "m", ["//m:quant"]),
        ("sub:quant", "m", ["//m/sub:quant"]),
        ("sub", "m", ["//m/sub:sub"]),
        ("//m", "", ["//m:m"]),
        ("//m/sub:quant", "many", ["//m/sub:quant"]),
    ],
)
def test_a_pattern_is_read_from_where_one_stands(text, package, matches):
    pattern = parse_pattern(text, package)
    assert [label for label in LABELS if pattern.matches(label)] == matches
    assert not pattern.negative
    minus = parse_pattern(f"-{text}", package)
    assert minus.negative
    assert [label for label in LABELS if minus.matches(label)] == matches


def test_a_double_dash_between_patterns_is_passed_over():
    assert [pattern.text for pattern in parse_patterns(["//...", "--", "-//m/..."])] == ["//...", "-//m/..."]


@pytest.mark.parametrize("text", ["", "-", "//m:", "//m/....", "a b", "//m:...", "../m", "//m@x=1"])
def test_bad_patterns_are_refused(text):
    with pytest.raises(BadLabel):
        parse_pattern(text, "m")
