"""What a library says, in a user's words."""

import pytest

from axbuild.errors import AxError
from axbuild.toolchain.door import door, in_words

SAID = [
    (
        "[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/core/graph/graph.cc:1617 void onnxruntime::Graph::"
        "InitializeStateFromModelFileGraphProto() This is an invalid model. Graph output (e) does not exist.",
        "This is an invalid model. Graph output (e) does not exist.",
    ),
    (
        "[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/core/graph/model.cc:256 onnxruntime::Model::Model("
        "onnx::ModelProto&&, const onnxruntime::PathString&) Unsupported model IR version: 16",
        "Unsupported model IR version: 16",
    ),
    (
        "/onnxruntime_src/core/attention_helper.h:164 Status Shape(const ort::Tensor*, bool) mask == nullptr || "
        "mask->Shape()[mask->Shape().NumDimensions() - 1] == total was false. inconsistent length (of the mask)",
        "inconsistent length (of the mask)",
    ),
    ("[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Invalid model. Node input 'r'", "Invalid model. Node input 'r'"),
    ("plain  words\n of (another) library", "plain words of (another) library"),
]


@pytest.mark.parametrize(("text", "words"), SAID)
def test_a_message_has_no_places_in_a_librarys_own_source(text, words):
    assert in_words(text) == words


def test_a_long_message_is_cut():
    assert len(in_words("word " * 1000)) == 400


def test_whatever_a_library_raises_becomes_the_doors_sentence():
    told = door(lambda said: AxError(f"the model is odd: {said}", code="AX300"))
    with pytest.raises(AxError, match=r"^error AX300: the model is odd: Node input$"), told:
        raise LookupError("Node input")
