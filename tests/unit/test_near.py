"""Which names an error proposes in place of one that there is not."""

import pytest

from axbuild.toolchain.near import did_you_mean, near_names, nearest


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("conv_1", ["conv_2", "conv_3"], []),
        ("conv_1", ["conv_2", "Conv_1"], ["Conv_1"]),
        ("cnov_12", ["conv_12", "conv_21"], ["conv_12"]),
        ("input", ["input.1"], ["input.1"]),
        ("layer1.conv", ["layer1.conv2", "layer2.conv"], ["layer1.conv2"]),
        ("layer1.conv2", ["layer1.0.conv2", "layer2.0.conv1"], ["layer1.0.conv2"]),
        ("op_12:out", ["op_21:out"], []),
        ("logits", ["boxes"], []),
    ],
)
def test_another_number_is_another_thing_and_a_missing_one_a_slip(name, known, near):
    assert near_names(name, known) == near


def test_a_hint_names_the_nearest_or_up_to_three():
    assert nearest("imge", ["image", "imago"]) == "did you mean 'image'?"
    assert did_you_mean("imge", ["image", "imago", "images", "imagery"]) == "did you mean image or images or imagery?"
    assert (nearest("x9", ["x8"]), did_you_mean("x9", ["x8"])) == ("", "")
