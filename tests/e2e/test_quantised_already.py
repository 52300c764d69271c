"""A model that is quantised already, `--model_type QuantAxModel`: compiled for more chips and batches from its file."""

import json
import shutil
import tarfile

import numpy as np
import onnx
import pytest
from qdq_world import written_by_onnxruntime
from tune_net import residual_net, samples_with_an_outlier

from axbuild.toolchain.axmodel.read import read
from zoo_workspace import Zoo

CONFIG = {
    "input": "net.onnx",
    "quant": {
        "input_configs": [
            {"tensor_name": "DEFAULT", "calibration_dataset": "samples.tar", "calibration_format": "Numpy"}
        ],
        "calibration_method": "MSE",
        "layer_configs": [{"op_type": "Add", "data_type": "U16"}],
    },
    "compiler": {"static_batch_sizes": [1, 2], "check": 2},
}
OTHER = ("--target_hardware", "AX620E", "--npu_mode", "NPU2", "--compiler.static_batch_sizes", "1", "2")
OTHER_CHECKED = (*OTHER, "--compiler.check", "2")
QUANTISED = ("--model_type", "QuantAxModel", "--input", "out/quant/quant_axmodel.onnx")
QUANTISING = {"optimize", "decode", "observe", "merge", "watch", "calibrate", "quantize", "preflight"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder of a user's own, whose model is built once."""
    root = tmp_path_factory.mktemp("quantised") / "project"
    root.mkdir()
    net = residual_net()
    onnx.save(net.model("y"), root / "net.onnx")
    with tarfile.open(root / "samples.tar", "w") as archive:
        for number, sample in enumerate(samples_with_an_outlier(net)):
            np.save(root / f"{number}.npy", sample)
            archive.add(root / f"{number}.npy", f"{number}.npy")
            (root / f"{number}.npy").unlink()
    (root / "config.json").write_text(json.dumps(CONFIG, indent=1))
    made = Zoo(root, root.parent / "cache")
    build(made, "out", "--config", "config.json")
    return made


def build(project, out, *flags):
    """A build that must succeed -> (what it printed, stages that ran)."""
    done = project.run("pulsar2", "build", *flags, "--output_dir", out)
    assert done.code == 0, done.out + done.err
    events = [json.loads(line) for line in (project.root / out / ".axbuild/events.jsonl").read_text().splitlines()]
    return done.out, [e["stage"] for e in events if e["event"] == "action_finished" and e["status"] == "executed"]


def same(project, one, other, file="compiled.axmodel"):
    return (project.root / one / file).read_bytes() == (project.root / other / file).read_bytes()


def test_the_same_configuration_gives_the_same_bytes_and_quantises_nothing(project):
    said, ran = build(project, "same", "--config", "config.json", *QUANTISED)
    assert QUANTISING.isdisjoint(ran)
    assert ran[0] == "read_quantised"
    assert "compile_subgraph" not in ran  # of what is compiled here nothing is another one
    for file in ("compiled.axmodel", "quant/quant_axmodel.onnx", "quant/quant_axmodel.json"):
        assert same(project, "out", "same", file), file
    assert not (project.root / "same/frontend").exists()
    for name in ("calibration_method", "layer_configs"):
        assert f"quant.{name} has no effect with model_type QuantAxModel, which is quantised already" in said
    for words in (
        "load quantised model from [out/quant/quant_axmodel.onnx]",
        "8 File(s) Loaded.",
        "SUCCESS | check [",
    ):
        assert words in said
    for words in ("Calibration Progress", "save optimized onnx", "random sample"):
        assert words not in said


def test_another_chip_mode_and_batches_are_compiled_from_the_file_as_in_one_go(project):
    build(project, "whole", "--config", "config.json", *OTHER)
    alone = project.root.parent / "elsewhere"
    alone.mkdir()
    shutil.copytree(project.root / "out/quant", alone / "out/quant")
    shutil.rmtree(alone / "out/quant/dataset")
    there = Zoo(alone, alone.parent / "another_cache")  # nothing of the model but its file
    said, ran = build(there, "alone", *QUANTISED, *OTHER_CHECKED)
    assert QUANTISING.isdisjoint(ran)
    assert ran.count("compile_subgraph") == 2
    assert (alone / "alone/compiled.axmodel").read_bytes() == (project.root / "whole/compiled.axmodel").read_bytes()
    container = read((alone / "alone/compiled.axmodel").read_bytes())
    assert (container.npu_mode, container.batches()) == ("NPU2", (1, 2))
    assert (
        "AX592: compared on 8 random samples, since the quantised model came without its calibration data: 'x' from"
        in said
    )
    assert "equal bit for bit" in said
    assert "normalisation of [x]: neither mean nor std" in said
    said, ran = build(there, "third", *QUANTISED, "--target_hardware", "AX615")
    assert set(ran) == {"preflight_quantised", "partition", "split", "compile_subgraph", "fuse"}


def test_the_resolved_configuration_of_such_a_build_is_taken_back(project):
    build(project, "first", *QUANTISED, *OTHER)
    _, ran = build(project, "again", "--config", "first/build_context.json")
    assert ran == []
    assert same(project, "first", "again")


GIVEN = {"ONNX": "net.onnx", "QuantONNX": "qdq.onnx", "QuantAxModel": "out/quant/quant_axmodel.onnx"}


@pytest.fixture(scope="module")
def with_qdq(project):
    """The net with QuantizeLinear and DequantizeLinear nodes beside it."""
    net = residual_net()
    samples = [{"x": sample} for sample in samples_with_an_outlier(net)]
    onnx.save(written_by_onnxruntime(net.model("y"), samples, "per channel"), project.root / "qdq.onnx")
    return project


@pytest.mark.parametrize("model_type", GIVEN)
@pytest.mark.parametrize("kind", GIVEN)
def test_each_model_type_takes_its_own_models_alone(with_qdq, model_type, kind):
    out = f"{model_type}_of_{kind}"
    flags = ("--config", "config.json", "--model_type", model_type, "--input", GIVEN[kind], "--output_dir", out)
    done = with_qdq.run("pulsar2", "build", *flags)
    assert done.code == (0 if kind == model_type else 2), done.out + done.err
    assert (with_qdq.root / out).exists() == (kind == model_type)


def damaged(project, content, records=True):
    folder = project.root / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "quant_axmodel.onnx").write_bytes(content)
    if records:
        shutil.copy(project.root / "out/quant/quant_axmodel.json", folder)


def tampered(content):
    model = onnx.load_from_string(content)
    next(one for one in model.graph.initializer if one.data_type == onnx.TensorProto.INT8).raw_data = b"\0"
    return model.SerializeToString()


def without_its_data(content):
    model = onnx.load_from_string(content)
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="gone.data")
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("spoil", "records", "told"),
    [
        (lambda content: content[: len(content) // 2], True, "AX112: quant_axmodel.onnx is not a readable ONNX model"),
        (lambda content: b"", True, "AX112"),
        (tampered, True, "AX590"),
        (without_its_data, True, "AX118: quant_axmodel.onnx keeps weights in 'gone.data', and there is no such file"),
        (lambda content: content, False, "AX590: //:model_quant read_quantised: quant_axmodel.onnx is no quantised "
         "model of axbuild: there is no quant_axmodel.json beside it"),
    ],
    ids=["half", "empty", "tampered", "without its data", "without its records"],
)  # fmt: skip
def test_a_spoilt_file_is_refused_and_nothing_is_written(project, spoil, records, told):
    damaged(project, spoil((project.root / "out/quant/quant_axmodel.onnx").read_bytes()), records)
    flags = ("--model_type", "QuantAxModel", "--input", "damaged/quant_axmodel.onnx", "--output_dir", "refused")
    done = project.run("pulsar2", "build", *flags)
    assert done.code == 2, done.out + done.err
    assert told in done.out + done.err
    assert not (project.root / "refused").exists()


SHAPES = {"input_processors": [{"tensor_name": "x", "src_extra_shapes": [{"shape": [1, 3, 16, 16]}]}]}


@pytest.mark.parametrize(
    ("config", "flags", "told"),
    [
        ({}, ["--quant.precision_analysis"], "AX530: quant.precision_analysis compares with the float model"),
        (SHAPES, [], "AX530: input_processors[0].src_extra_shapes needs the float model"),
        (
            {},
            ["--input_shapes", "x:1x3x16x16"],
            "AX591: //:model_quant read_quantised: input_shapes says [1, 3, 16, 16]",
        ),
        ({"input_processors": [{"tensor_name": "z", "mean": [1]}]}, [], "'z'"),
        ({}, ["--model_type", "QuantAxmodel"], "--model_type takes ONNX, QuantAxModel or QuantONNX"),
    ],
)
def test_what_only_the_float_model_tells_is_refused_by_name(project, config, flags, told):
    (project.root / "asked.json").write_text(json.dumps(config))
    done = project.run("pulsar2", "build", *QUANTISED, "--config", "asked.json", "--output_dir", "refused", *flags)
    assert done.code == 2, done.out + done.err
    assert told in done.out + done.err
    assert not (project.root / "refused").exists()


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--compiler.check", "2"), "80 elements of 1 output on 8 samples: equal bit for bit"),
        (("--compiler.check", "2", "--compiler.check_mode", "CheckPerLayer"), "equal bit for bit"),
        (("--compiler.check", "1", "--compiler.input_sample_dir", "own"), "on 3 samples"),
        (("--compiler.check", "3", "--compiler.max_dynamic_batch_size", "4"), "successfully! (level cosine)"),
    ],
)
def test_checks_compare_on_files_or_on_random_samples(project, flags, told):
    folder = project.root / "own"
    folder.mkdir(exist_ok=True)
    for number in range(3):
        np.save(folder / f"{number}.npy", np.random.default_rng(number).normal(0, 1, (1, 3, 8, 8)).astype(np.float32))
    said, _ = build(project, "checked", *QUANTISED, *flags)
    assert told.replace("80", str(8 * 10 * 64)) in said
    assert ("AX592" in said) == ("--compiler.input_sample_dir" not in flags)


# As targets -------------------------------------------------------------------------------------------------------

TARGETS = """
[[quant_axmodel]]
name = "quant"
src = "quant_axmodel.onnx"

[[axmodel]]
name = "axmodel"
quant = ":quant"
static_batch_sizes = [1, 2]

[[npu_subgraph]]
name = "b1"
quant = ":quant"

[[npu_subgraph]]
name = "b2"
quant = ":quant"
batch = 2

[[axmodel]]
name = "by_hand"
subgraphs = [":b1", ":b2"]

[[axmodel]]
name = "in_parts"
quant = ":quant"
sub_configs = [
    { start_tensor_names = ["seen"], end_tensor_names = ["inner"], check = 2 },
    { start_tensor_names = ["sum"], end_tensor_names = ["y"], check = 2 },
]

[[check]]
name = "equal"
axmodel = ":axmodel"
level = "equal"
"""


@pytest.fixture(scope="module")
def workspace(project):
    root = project.root.parent / "workspace"
    (root / "m").mkdir(parents=True)
    (root / "axbuild.toml").touch()
    for file in ("quant_axmodel.onnx", "quant_axmodel.json"):
        shutil.copy(project.root / "out/quant" / file, root / "m")
    shutil.copy(project.root / "samples.tar", root / "m")
    (root / "m/BUILD.toml").write_text(TARGETS)
    return Zoo(root, root.parent / "workspace_cache")


def test_targets_build_from_it_by_hand_and_in_parts(workspace, project):
    done = workspace.build("//m/...")
    assert QUANTISING.isdisjoint(done.executed)
    outputs = workspace.root / "axbuild-out/m"
    one, other = ((outputs / name / "compiled.axmodel").read_bytes() for name in ("axmodel", "by_hand"))
    assert one == other == (project.root / "out/compiled.axmodel").read_bytes()
    verdicts = [json.loads((outputs / f"in_parts/compiler/check/sub_config_{n}.json").read_text()) for n in (0, 1)]
    assert [verdict["passed"] for verdict in verdicts] == [True, True]
    assert workspace.build("//m/...").executed == []


PRECISION = '[[precision_{}]]\nname = "p"\nquant = ":axmodel"\n'


@pytest.mark.parametrize(
    ("table", "told"),
    [
        *(
            (
                PRECISION.format(rule),
                "error AX591: //m:axmodel was compiled from a quantised model alone, and its precision is measured "
                "against the float model",
            )
            for rule in ("check", "report", "analysis")
        ),
        ('[[precision_check]]\nname = "p"\nquant = ":quant"\n', "quant takes QuantModel or AxModel"),
        (
            '[[axmodel]]\nname = "p"\nquant = ":quant"\nsrc_extra_shapes = [{ x = [1, 3, 16, 16] }]\n',
            "error AX591: the model at other shapes is made from the float model, and here it is quantised already",
        ),
        (
            '[[npu_subgraph]]\nname = "p"\nquant = ":quant"\nshapes = { x = [1, 3, 16, 16] }\n',
            "error AX591: the model at other shapes is made from the float model",
        ),
        (
            '[[calibration_set]]\nname = "c"\nsrc = "samples.tar"\nformat = "Numpy"\n'
            '[[check]]\nname = "p"\naxmodel = ":axmodel"\nlevel = "equal"\nsamples = ":c"\n',
            "error AX591: samples are read as the calibration data was, and the quantised model came without it",
        ),
    ],
)
def test_targets_that_need_the_float_model_or_its_data_are_refused_with_a_way_out(workspace, table, told):
    with workspace.edited("m/BUILD.toml", TARGETS, f"{TARGETS}\n{table}"):
        done = workspace.run("build", "//m:p")
    assert done.code == 2
    assert told in done.err
    assert "hint: " in done.err


def test_with_its_calibration_data_checks_compare_on_that(workspace):
    more = '[[calibration_set]]\nname = "calib"\nsrc = "samples.tar"\nformat = "Numpy"\nsize = -1\n\n' + TARGETS
    more = more.replace('onnx"\n\n', 'onnx"\ncalibration = ":calib"\n\n', 1)
    more += '[[check]]\nname = "some"\naxmodel = ":axmodel"\nlevel = "equal"\nsamples = ":calib"\n'
    with workspace.edited("m/BUILD.toml", TARGETS, more):
        done = workspace.build("//m:equal", "//m:some")
    assert "random" not in done.out + done.err
    verdict = json.loads((workspace.root / "axbuild-out/m/equal/verdict.json").read_text())
    assert "on 8 samples: equal bit for bit" in verdict["sentence"]
    assert {"read_quantised", "compile_subgraph", "partition"}.isdisjoint(done.executed)


def test_a_configuration_in_a_workspace_stands_for_the_same_targets(workspace):
    config = {"model_type": "QuantAxModel", "input": "quant_axmodel.onnx", "compiler": {"static_batch_sizes": [1, 2]}}
    (workspace.root / "m/config.json").write_text(json.dumps(config))
    done = workspace.run("import", "m/config.json", "--name", "net")
    assert (done.code, done.err) == (0, "")
    assert done.out.partition("\n\n")[2] == (
        '[[quant_axmodel]]\nname = "net_quant"\nsrc = "quant_axmodel.onnx"\n\n'
        '[[axmodel]]\nname = "net"\nquant = ":net_quant"\nstatic_batch_sizes = [1, 2]\n'
    )
    with workspace.edited(
        "m/BUILD.toml", TARGETS, f'{TARGETS}\n[[pulsar2_build]]\nname = "net"\nconfig = "config.json"\n'
    ):
        done = workspace.build("//m:axmodel", "//m:net")
    assert done.executed == []
