"""Attribute classes: what each takes, refuses, and tells the rule."""

import pytest

from axbuild.workspace.attributes import (
    Bool,
    Choice,
    Float,
    Floats,
    Int,
    Ints,
    NewNames,
    Shapes,
    String,
    Strings,
    Values,
    WrongValue,
    closest,
    shown,
)
from axbuild.workspace.references import Label, LabelMap, Labels, Records, Source


class Layer:
    """Precision of an operator."""

    op_type = String("Type of the operator.", required=True)
    bits = Choice("Width.", ("U8", "U16"), default="U8")
    scales = Floats("Scales.")


class Providers:
    """A settler that answers with what it was asked."""

    def provider(self, label, types):
        return f"provider of {label}"

    def sources(self, items, one_file, companions):
        return ("files", tuple(items), one_file)


METHOD = Choice("Method.", ("MinMax", "Percentile", "KL"), default="MinMax")

TAKEN = [
    (String(""), "a", "a"),
    (Bool(""), True, True),
    (Int(""), -3, -3),
    (Int("", low=1, high=4), 4, 4),
    (Float(""), 1, 1.0),
    (Float("", low=0), 1e-5, 1e-5),
    (METHOD, "KL", "KL"),
    (Strings(""), ["a", "b"], ["a", "b"]),
    (Ints("", low=1), [1, 2], [1, 2]),
    (Floats(""), [1, 2.5], [1.0, 2.5]),
    (Shapes(""), {"x": [1, 3, 8, 8]}, {"x": [1, 3, 8, 8]}),
    (Values(""), {"sr": 16000, "on": True, "k": [[1, 2.5]]}, {"sr": 16000, "on": True, "k": [[1, 2.5]]}),
    (NewNames(""), {"x.1": "image"}, {"x.1": "image"}),
    (Label(""), ":float", "//m:float"),
    (Labels(""), [":a", "//n:b"], ["//m:a", "//n:b"]),
    (LabelMap(""), ":calib", {"DEFAULT": "//m:calib"}),
    (LabelMap(""), {"x": ":a", "y": "//n:b"}, {"x": "//m:a", "y": "//n:b"}),
    (Source(""), "a.onnx", ["a.onnx"]),
    (Source(""), ["*.png", ":more"], ["*.png", "//m:more"]),
    (Records("", Layer), [{"op_type": "Add"}], [{"op_type": "Add"}]),
]


@pytest.mark.parametrize(("attribute", "written", "plain"), TAKEN, ids=lambda value: type(value).__name__)
def test_a_fitting_value_becomes_a_plain_one(attribute, written, plain):
    parsed = attribute.parse(written, "m")
    assert parsed == plain
    assert type(parsed) is type(plain)


REFUSED = [
    (String(""), 1, "takes a string, got 1"),
    (Bool(""), 1, "takes true or false, got 1"),
    (Int(""), True, "takes a whole number, got true"),
    (Int(""), 1.0, "takes a whole number, got 1.0"),
    (Int("", low=1), 0, "takes a whole number of at least 1, got 0"),
    (Int("", low=1, high=4), 5, "takes a whole number from 1 to 4, got 5"),
    (Float(""), "1", 'takes a number, got "1"'),
    (Float(""), float("nan"), "takes a number, got nan"),
    (Float(""), float("inf"), "takes a number, got inf"),
    (Float("", low=0), -1e-5, "takes a number of at least 0, got -1e-05"),
    (Float("", high=1), 2, "takes a number of at most 1, got 2"),
    (METHOD, "minmax", 'takes "MinMax", "Percentile" or "KL", got "minmax"'),
    (METHOD, ["KL"], 'takes "MinMax", "Percentile" or "KL", got ["KL"]'),
    (Choice("", ("MinMax",)), 1, 'takes "MinMax", got 1'),
    (Strings(""), "a", 'takes a list, each item a string, got "a"'),
    (Ints("", low=1), [0], "takes a whole number of at least 1, got 0"),
    (Shapes(""), {"x": [0]}, "takes a table of input name = [dimensions], "
                             "each dimension a whole number of at least 1, got { x = [0] }"),
    (Shapes(""), "1x3", "takes a table of input name = [dimensions], "
                        'each dimension a whole number of at least 1, got "1x3"'),
    (Values(""), {"x": "1"}, "takes a table of name = a number, true, false, or a list of these, "
                             'got { x = "1" }'),
    (Values(""), {"x": []}, "takes a table of name = a number, true, false, or a list of these, got { x = [] }"),
    (Values(""), {"x": float("nan")}, "takes a table of name = a number, true, false, or a list of these, "
                                      "got { x = nan }"),
    (NewNames(""), {"x": ""}, 'takes a table of name = another name, got { x = "" }'),
    (Label(""), [":a"], 'takes a label, got [":a"]'),
    (Labels(""), ":a", 'takes a list of labels, got ":a"'),
    (Labels(""), [":a", "//m:a"], "names a target twice"),
    (LabelMap(""), {}, "takes a label or a table of name = label, got {}"),
    (LabelMap(""), {"x": 1}, "takes a label or a table of name = label, got { x = 1 }"),
    (Source(""), [], "takes a path, a glob, a list of them, or a label, got []"),
    (Source("", one_file=True), ["a"], 'takes a path or a label, got ["a"]'),
    (Source(""), "", 'takes a path, a glob, a list of them, or a label, got ""'),
    (Records("", Layer), {"op_type": "Add"}, 'takes a list of tables, got { op_type = "Add" }'),
    (Records("", Layer), [{}], "[0] lacks its field 'op_type'"),
    (Records("", Layer), [{"op_type": "Add"}, {"optype": "Add"}], "[1] has no field 'optype'"),
    (Records("", Layer), [{"op_type": "Add", "bits": "U4"}], '[0].bits takes "U8" or "U16", got "U4"'),
]  # fmt: skip


@pytest.mark.parametrize(("attribute", "written", "sentence"), REFUSED)
def test_a_value_that_does_not_fit_is_refused_in_words(attribute, written, sentence):
    with pytest.raises(WrongValue) as raised:
        attribute.parse(written, "m")
    assert raised.value.sentence == sentence


def test_a_near_miss_of_a_choice_or_a_field_is_suggested():
    with pytest.raises(WrongValue) as choice:
        METHOD.parse("MinMaxx", "m")
    assert choice.value.hint == "did you mean 'MinMax'?"
    with pytest.raises(WrongValue) as field:
        Records("", Layer).parse([{"op_typ": "Add"}], "m")
    assert field.value.hint == "did you mean 'op_type'?"


@pytest.mark.parametrize(
    ("attribute", "labels"),
    [
        (Label(""), {":a": ["//m:a"]}),
        (Labels(""), {(":a", "//n:b"): ["//m:a", "//n:b"]}),
        (LabelMap(""), {":a": ["//m:a"]}),
        (Source(""), {":a": ["//m:a"], "a.onnx": []}),
        (String(""), {":a": []}),
    ],
)
def test_the_labels_in_a_value_are_known(attribute, labels):
    for written, expected in labels.items():
        value = attribute.parse(list(written) if isinstance(written, tuple) else written, "m")
        assert list(attribute.labels(value)) == expected


def test_rules_see_providers_artifacts_and_tuples():
    settler = Providers()
    assert Label("").settle("//m:a", settler) == "provider of //m:a"
    assert Label("").settle(None, settler) is None
    assert Labels("").settle(["//m:a"], settler) == ("provider of //m:a",)
    assert LabelMap("").settle({"x": "//m:a"}, settler) == {"x": "provider of //m:a"}
    assert Source("", one_file=True).settle(["a.onnx"], settler) == ("files", ("a.onnx",), True)
    assert Ints("").settle([1, 2], settler) == (1, 2)
    assert Shapes("").settle({"x": [1, 2]}, settler) == {"x": (1, 2)}


def test_a_record_has_every_field():
    (layer,) = Records("", Layer).settle([{"op_type": "Add", "scales": [1.0]}], Providers())
    assert layer.as_dict() == {"op_type": "Add", "bits": "U8", "scales": (1.0,)}
    assert layer.bits == "U8"
    with pytest.raises(AttributeError):
        layer.nothing  # noqa: B018 - the access itself is the test


def test_a_float_default_is_a_float_however_it_is_declared():
    assert Float("", default=0).default == 0.0
    assert type(Float("", default=0).default) is float


def test_attributes_left_out_have_the_empty_value_of_their_type():
    assert [kind("").default for kind in (String, Bool, Int, Ints, Label, Labels)] == ["", False, None, (), None, ()]


def test_values_are_shown_as_toml():
    assert shown({"a": [1, 2.5, "x"], "b": True}) == '{ a = [1, 2.5, "x"], b = true }'
    assert shown("ä\n") == '"ä\\n"'
    assert shown({}) == "{}"


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("AX620A", "AX620E"),
        ("AX650M", "AX650"),
        ("ax650", "AX650"),
        ("AX640", ""),
        ("calibraton", "calibration"),
        ("b3", ""),
    ],
)
def test_another_number_is_no_slip_of_the_pen(word, meant):
    assert closest(word, ["AX650", "AX620E", "calibration", "b4", "b2"]) == meant
