"""What a precision_analysis lays out, and what is told of mistakes."""

import pytest

from axbuild.errors import AxError
from rules_world import AXMODEL, CHAIN, TWO_INPUTS, layer


def analysis(*lines, name="analysis", quant="quant"):
    return "\n".join(("", "[[precision_analysis]]", f'name = "{name}"', f'quant = ":{quant}"', *lines, ""))


@pytest.fixture
def lay(tmp_path):
    return layer(tmp_path)


def names(actions, target="analysis"):
    return [name for owner, name in actions if owner == target]


def measured(actions, target="analysis"):
    """Of what the measuring action of a target is made, without its names."""
    action = actions[target, "measure_edges"]
    return action.stage.ref, action.params, {role: action.inputs[role] for role in ("model", "quantised")}


def test_method_limits_and_a_report_measure_the_same(lay):
    report = '\n[[precision_report]]\nname = "report"\nquant = ":quant"\n'
    through = analysis('method = "EndToEnd"', "min_cosine = 0.9", name="through")
    actions, _ = lay(CHAIN + analysis() + through + report)
    assert names(actions) == ["measure_edges", "analyse", "judge_rows"]
    assert measured(actions) == measured(actions, "through") == measured(actions, "report")
    assert actions["through", "analyse"].params == {"method": "EndToEnd", "mode": "Reference"}


def test_an_analysis_is_a_test_where_it_has_a_limit(lay):
    _, targets = lay(CHAIN + analysis() + analysis("max_mse = 0.5", 'judge = "layers"', name="judged"))
    assert len(targets["judged"].verdicts) == 1
    assert "verdict.json" in targets["judged"].outputs
    assert (targets["analysis"].verdicts, "verdict.json" in targets["analysis"].outputs) == ((), False)


def files(tmp_path, *paths):
    for path in paths:
        (tmp_path / "m" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "m" / path).write_bytes(b"x")


def test_files_of_the_original_model_are_read_as_calibration_was(lay, tmp_path):
    files(tmp_path, "pictures/a.png", "pictures/b.png")
    actions, _ = lay(CHAIN + analysis('input_sample_dir = "pictures"'))
    own, calibrated = actions["analysis", "decode"], actions["quant", "decode"]
    assert own.inputs["source"].files == (("a.png", "m/pictures/a.png"), ("b.png", "m/pictures/b.png"))
    assert own.params == calibrated.params | {"size": -1}
    (samples,) = actions["analysis", "measure_edges"].inputs["samples"]
    assert samples.action == ("//m:analysis", "decode")


def test_several_inputs_have_a_folder_each(lay, tmp_path):
    files(tmp_path, "given/a/1.png", "given/b/1.npy")
    actions, _ = lay(TWO_INPUTS + analysis('input_sample_dir = "given"'))
    assert actions["analysis", "decode_b"].inputs["source"].files == (("1.npy", "m/given/b/1.npy"),)
    assert actions["analysis", "decode_a"].params["format"] == "Image"
    (tmp_path / "m/given/b/1.npy").unlink()
    with pytest.raises(AxError, match="AX106: input_sample_dir has no folder 'b/' with the samples of 'b'"):
        lay(TWO_INPUTS + analysis('input_sample_dir = "given"'))


def test_the_npu_backend_compiles_every_operator_by_itself_for_the_chip_of_the_axmodel(lay):
    told = AXMODEL + 'target_hardware = "AX620E"\nnpu_mode = "NPU2"\neffort = "normal"\n'
    actions, _ = lay(CHAIN + told + analysis('mode = "NPUBackend"', quant="axmodel"))
    own, whole = actions["analysis", "split"].params, actions["axmodel", "split"].params
    assert own == whole
    assert actions["analysis", "partition_apart"].params["chip"] == actions["axmodel", "partition"].params["chip"]
    assert actions["analysis", "wholly_npu"].preflight


def test_the_npu_backend_runs_the_axmodel_end_to_end(lay):
    actions, _ = lay(
        CHAIN + AXMODEL + analysis('mode = "NPUBackend"', 'method = "EndToEnd"', "size = 3", quant="axmodel")
    )
    assert names(actions) == ["wholly_npu", "simulate_layers", "measure_on_npu", "analyse", "judge_rows"]
    params = actions["analysis", "simulate_layers"].params
    assert params["input_processors"] == actions["axmodel", "partition"].params["input_processors"]
    assert (params["size"], actions["analysis", "measure_on_npu"].params["size"]) == (3, 3)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ('mode = "NPUBackend"',),
            'AX115: mode "NPUBackend" runs compiled programs, and quant names a quantised model',
        ),
        (('judge = "layers"',), "AX114: judge has no effect without a limit"),
        (("size = 0",), "AX106: size takes a number of samples, or -1 for all, got 0"),
        (("size = -2",), "AX106: "),
        (("max_mse = -1",), "AX106: "),
        (('method = "PerTensor"',), "AX106: "),
        (('mode = "Hardware"',), "AX106: "),
        (('input_sample_dir = "a.npy"', 'samples = ":calib"'), "AX114: samples have no effect beside input_sample_dir"),
    ],
)
def test_a_setting_that_cannot_be_obeyed_is_an_error(lay, lines, message):
    with pytest.raises(AxError, match=message):
        lay(CHAIN + analysis(*lines))
