"""What sub_configs of an axmodel lay out: options that are inherited, checks of parts, and what is told of mistakes."""

import pytest

from axbuild.errors import AxError
from rules_world import AXMODEL, CHAIN, CHECK, layer

ENDS = 'start_tensor_names = ["a"], end_tensor_names = ["b"]'
OTHER = 'start_tensor_names = ["b"], end_tensor_names = ["c"]'


@pytest.fixture
def lay(tmp_path):
    build = layer(tmp_path)

    def laid(fields, more="", check=""):
        """The actions of an axmodel with a part of those fields and one of none."""
        (tmp_path / "m/inputs").mkdir(parents=True, exist_ok=True)
        (tmp_path / "m/inputs/0.npy").write_bytes(b"x")
        parts = f"sub_configs = [{{ {ENDS}{fields} }}, {{ {OTHER} }}]\n"
        return build(CHAIN + AXMODEL + more + parts + CHECK + check)[0]

    return laid


def params(actions, name, target="axmodel"):
    return actions[target, name].params


def test_an_option_that_a_part_leaves_out_is_the_model_s(lay):
    actions = lay(", ddr_bw_limit = 0", "ddr_bw_limit = 3\n")
    split = params(actions, "split")
    assert split["options"]["ddr_bw_limit"] == 3.0
    assert split["sub_options"] == [split["options"] | {"ddr_bw_limit": limit} for limit in (0.0, 3.0)]


def test_where_parts_lie_is_told_to_what_looks_first_and_to_what_cuts(lay):
    ends = [dict.fromkeys(("start_tensor_names", "end_tensor_names"), 0) for _ in range(2)]
    for one, (start, end) in zip(ends, ("ab", "bc"), strict=True):
        one |= {"start_tensor_names": [start], "end_tensor_names": [end]}
    actions = lay(", check = 2, ddr_bw_limit = 1")
    assert params(actions, "partition")["sub_configs"] == ends
    assert params(actions, "preflight")["sub_configs"] == ends
    assert actions["axmodel", "preflight"].preflight


def test_a_part_with_a_check_is_compared_by_itself_and_left_out_of_others(lay):
    actions = lay(', check = 3, check_cosine = 0.9, check_mode = "CheckPerLayer", check_tensor_black_list = ["t.*"]')
    assert params(actions, "compare_sub_config_0") == {
        "level": "cosine",
        "rtol": 0.0,
        "atol": 0.0,
        "cosine": 0.9,
        "layers": True,
        "tensor_black_list": ["t.*"],
        "part": "sub_configs[0]",
    }
    assert params(actions, "answers_sub_config_0")["sub_configs"] == [0]
    assert params(actions, "answers", "check")["sub_configs"] == [None, 1]
    assert ("axmodel", "compare_sub_config_1") not in actions


def test_a_part_that_is_not_to_be_compared_is_left_out_of_checks_too(lay):
    actions = lay(", check = 0")
    assert params(actions, "answers", "check")["sub_configs"] == [None, 1]
    assert ("axmodel", "compare_sub_config_0") not in actions


def test_without_checks_of_parts_a_check_looks_at_the_whole(lay):
    actions = lay("")
    assert params(actions, "answers", "check")["sub_configs"] == []
    assert ("axmodel", "profile") not in actions


def test_the_time_of_one_part_is_profiled(lay):
    assert params(lay(", npu_perf = true"), "profile")["sub_configs"] == [0]
    assert params(lay(", npu_perf = false", "npu_perf = true\n"), "profile")["sub_configs"] == [None, 1]


def test_data_that_a_part_takes_in_takes_the_place_of_samples(lay):
    actions = lay(', check = 2, input_sample_dir = "inputs"')
    asked = actions["axmodel", "answers_sub_config_0"]
    assert [files.files for files in asked.inputs["data"]] == [(("0.npy", "m/inputs/0.npy"),)]
    assert (asked.inputs["samples"], asked.params["inputs"], asked.params["start"]) == ((), [], 0)


def test_data_that_the_compiled_model_takes_in_takes_the_place_of_samples(lay):
    asked = lay("", check='input_sample_dir = "inputs"\n')["check", "answers"]
    assert [files.files for files in asked.inputs["data"]] == [(("0.npy", "m/inputs/0.npy"),)]
    assert (asked.inputs["samples"], asked.params["inputs"], asked.params["start"]) == ((), [], None)


def test_a_part_has_batches_of_its_own(lay):
    actions = lay(", static_batch_sizes = [4, 1]", "static_batch_sizes = [2, 1]\n")
    assert params(actions, "split")["batches"] == [1, 2]
    assert params(actions, "split")["sub_batches"] == [[1, 4], [1, 2]]
    assert ("axmodel", "dynamic_batches") not in actions


def test_batches_that_are_found_are_found_of_each_part_that_has_a_limit_of_its_own(lay):
    actions = lay(", max_dynamic_batch_size = 8", "max_dynamic_batch_size = 4\n")
    assert params(actions, "dynamic_batches")["limit"] == 4
    assert params(actions, "dynamic_batches")["sub_configs"] == [None, 1]
    own = params(actions, "dynamic_batches_sub_config_0")
    assert (own["limit"], own["sub_configs"]) == (8, [0])
    assert len(actions["axmodel", "split"].inputs["dynamic"]) == 2
    assert (params(actions, "split")["batches"], params(actions, "split")["sub_batches"]) == ([], [[], []])
    assert params(actions, "fuse")["shown_batch"] == 8


@pytest.mark.parametrize(
    ("fields", "more", "listed", "asked"),
    [
        (", max_dynamic_batch_size = 4", "static_batch_sizes = [2]\n", [[], [2]], {"dynamic_batches_sub_config_0"}),
        (", static_batch_sizes = [2]", "max_dynamic_batch_size = 4\n", [[2], []], {"dynamic_batches"}),
        (", max_dynamic_batch_size = 0", "max_dynamic_batch_size = 4\n", [[1], []], {"dynamic_batches"}),
    ],
)
def test_one_of_both_ways_to_batches_takes_the_place_of_the_model_s_other_one(lay, fields, more, listed, asked):
    actions = lay(fields, more)
    assert params(actions, "split")["sub_batches"] == listed
    assert {name for _, name in actions if name.startswith("dynamic_batches")} == asked


def test_switches_of_a_part_are_told_to_the_stages_that_look_at_them(lay):
    actions = lay(", disable_ir_fix = true, enable_data_soft_compression = true")
    assert params(actions, "partition")["sub_disable_ir_fix"] == [True, False]
    assert params(actions, "fuse")["sub_compressed"] == [True, False]
    assert "sub_disable_ir_fix" not in params(actions, "preflight")


PATTERN = '{ nodes = [{ types = ["Conv"] }, { types = ["Relu"], properties = { axis = 1 } }], type = "Slice" }'
SAID = {"nodes": [{"types": ["Conv"]}, {"types": ["Relu"], "properties": {"axis": 1}}], "type": "Slice"}


def test_patterns_of_operators_are_told_to_the_partition_alone(lay):
    actions = lay("", f"compiler_group_patterns = [{PATTERN}]\n")
    assert params(actions, "partition")["group_patterns"] == [SAID]
    assert "sub_group_patterns" not in params(actions, "partition")
    assert not any("group" in name for name in params(actions, "split"))
    own = lay(f", compiler_group_patterns = [{PATTERN}]")
    assert params(own, "partition")["sub_group_patterns"] == [[SAID], []]
    assert "group_patterns" not in params(own, "partition")
    with pytest.raises(AxError, match=r"sub_configs\[0\].compiler_group_patterns\[0\].nodes is empty"):
        lay(", compiler_group_patterns = [{ nodes = [] }]")


def test_what_a_part_says_as_the_model_does_changes_no_parameter(lay):
    same = (
        ", static_batch_sizes = [2, 1], max_dynamic_batch_size = 0, disable_ir_fix = true, "
        "enable_data_soft_compression = true, ddr_bw_limit = 3"
    )
    model = (
        "static_batch_sizes = [1, 2]\ndisable_ir_fix = true\nenable_data_soft_compression = true\nddr_bw_limit = 3\n"
    )
    alike, plain = lay(same, model), lay("", model)
    assert {name: one.params for name, one in alike.items()} == {name: one.params for name, one in plain.items()}
    assert "sub_batches" not in params(plain, "split")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            ", static_batch_sizes = [2], max_dynamic_batch_size = 4",
            r"\[0\].static_batch_sizes and sub_configs\[0\].max_dynamic_batch_size exclude each other",
        ),
        (", static_batch_sizes = [2, 2]", r"sub_configs\[0\].static_batch_sizes names a batch twice"),
        (", static_batch_sizes = [0]", r"static_batch_sizes takes a whole number from 1 to 1024, got 0"),
        (", sub_configs = []", "has no field 'sub_configs'"),
        (", check_rtol = 1", r"sub_configs\[0\].check_rtol has no effect without check"),
        (", check = 0, check_atol = 1", r"sub_configs\[0\].check_atol has no effect without check"),
        (", check = 2, check_rtol = 1", r"sub_configs\[0\].check_rtol has no effect with check = 2"),
        (", check = 4", r"\[0\].check takes a whole number from 0 to 3, got 4"),
        (', input_sample_dir = "inputs"', r"sub_configs\[0\].input_sample_dir has no effect without check"),
        (
            ', check = 1, input_sample_dir = "inputs/0.npy"',
            "input_sample_dir is a folder, and m/inputs/0.npy is a file",
        ),
        (', check = 1, check_tensor_black_list = ["("]', r"check_tensor_black_list: '\(' is no regular expression"),
    ],
)
def test_a_field_that_cannot_be_obeyed_is_refused(lay, fields, sentence):
    with pytest.raises(AxError, match=sentence):
        lay(fields)


def test_samples_beside_data_of_the_compiled_model_are_refused(lay):
    with pytest.raises(AxError, match="samples have no effect beside input_sample_dir"):
        lay("", check='input_sample_dir = "inputs"\nsamples = ":calib"\n')
