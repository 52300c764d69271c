"""`quant_axmodel.json`: the vendor's fields and states, and who decides whose scale."""

import numpy as np
import pytest
from quantised import Net, quantised

from axbuild.toolchain.quant.precision import LayerConfig

FLAGS = ["PER_TENSOR", "PER_CHANNEL", "LINEAR", "EXPONENTIAL", "SYMMETRICAL", "ASYMMETRICAL", "POWER_OF_2"]


def two_convolutions(*rules: LayerConfig):
    n = Net(1, 3, 8, 8)
    n.conv("x", "a", 4, 3)
    n.conv("a", "b", 4, 4)
    n.add("Add", ["a", "b"], "s")
    return quantised(n.model("s"), n.samples(), rules=list(rules)).records


def joined(factor: float):
    """Two convolutions into a Concat, one of them read elsewhere too; factor: how much larger the other one is."""
    n = Net(1, 3, 8, 8)
    n.conv("x", "a", 4, 3)
    n.add("Mul", ["x", n.constant("k", np.float32(factor))], "larger")
    n.add("Concat", ["a", "larger"], "y", axis=1)
    n.add("GlobalAveragePool", ["a"], "g")
    return quantised(n.model("y", "g"), n.samples()).records


def test_a_u16_record_is_as_the_vendor_writes_it():
    record = two_convolutions(LayerConfig(op_type="Add", data_type="U16"))["s"]["s"]
    assert list(record)[:7] == ["bit_width", "policy", "state", "quant_min", "quant_max", "hash", "dominator"]
    assert list(record["policy"]) == FLAGS
    assert [name for name, is_so in record["policy"].items() if is_so] == ["PER_TENSOR", "LINEAR", "ASYMMETRICAL"]
    assert (record["bit_width"], record["quant_min"], record["quant_max"]) == (16, 0, 65535)
    assert (record["state"], record["dominator"]) == ("ACTIVATED", record["hash"])


def test_a_weight_is_baked_and_its_bias_follows():
    records = two_convolutions()["b"]
    weight, bias = records["b_w"], records["b_b"]
    assert [name for name, is_so in weight["policy"].items() if is_so] == ["PER_CHANNEL", "LINEAR", "SYMMETRICAL"]
    assert (weight["state"], weight["bit_width"], bias["state"], bias["bit_width"]) == ("BAKED", 8, "PASSIVE_BAKED", 32)


def test_a_reader_follows_its_writer_and_one_of_another_type_decides_for_itself():
    records = two_convolutions(LayerConfig(layer_name="s", data_type="U16"))
    written = records["a"]["a"]
    assert (written["bit_width"], written["state"]) == (16, "ACTIVATED")
    assert records["s"]["a"] | {"hash": 0} == written | {"state": "OVERLAPPED", "hash": 0}
    narrower = records["b"]["a"]
    assert (narrower["bit_width"], narrower["state"]) == (8, "ACTIVATED")
    assert narrower["dominator"] == narrower["hash"] != written["hash"]


@pytest.mark.parametrize(("factor", "same"), [(1.0, True), (100.0, False)])
def test_inputs_of_a_concat_are_slaves_of_the_grid_they_are_joined_on(factor, same):
    records = joined(factor)
    assert [records["y"][name]["state"] for name in ("a", "larger")] == ["SLAVE", "SLAVE"]
    assert records["y"]["a"]["dominator"] == records["y"]["y"]["dominator"] == records["y"]["larger"]["dominator"]
    assert records["y"]["a"]["scale"] == records["y"]["y"]["scale"]
    assert (records["a"]["a"]["scale"] == records["y"]["y"]["scale"]) is same


def test_what_stays_float_and_what_is_a_shape_say_so():
    n = Net(1, 4, 6)
    n.add("Softsign", ["x"], "e")
    n.add("Reshape", ["e", n.constant("shape", np.array([1, 24]))], "f")
    n.add("Relu", ["f"], "y")
    records = quantised(n.model("y"), n.samples()).records
    assert records["e"]["e"]["state"] == "FP32"
    assert records["f"]["shape"]["state"] == "SOI"
