"""A real Pulsar2 as a command of the machine: what it is given, and a run that ends well without a result."""

import json
import sys
import tarfile

import pytest

from axbuild.toolchain.pulsar2.driver.call import NoContainerError, Pulsar2MissesError, Pulsar2Run
from axbuild.toolchain.pulsar2.driver.given import archive_of, typed
from axbuild.toolchain.pulsar2.driver.quantise import Pulsar2QuantParams, pulsar2_quantise
from axbuild.toolchain.pulsar2.schema import BuildConfig
from axbuild.toolchain.pulsar2.takes import BadSettingError

CONFIG = {"quant": {"input_configs": [{"tensor_name": "x", "calibration_format": "Numpy"}]}}
SHOW = "import json, sys; print(json.dumps(json.load(open(sys.argv[-1]))))"


def command(*argv):
    return {"argv": list(argv), "image": "", "user": "", "environment": {}}


@pytest.fixture
def scratch(tmp_path):
    for folder in ("in/model", "in/datasets.0000", "tmp", "out"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "in/model/model.onnx").touch()
    (tmp_path / "in/datasets.0000/all.zip").touch()
    return tmp_path


def test_paths_of_a_command_are_relative_to_the_folder_it_writes(scratch):
    inputs = (scratch / "in/model", [scratch / "in/datasets.0000"], scratch / "out")
    params = Pulsar2QuantParams(CONFIG, ("quant.input_configs.0.calibration_dataset",))
    with pytest.raises(Pulsar2MissesError, match=r"did not write quant/quant_axmodel\.onnx"):
        pulsar2_quantise(*inputs, params=params, call=command(sys.executable, "-c", SHOW), device="cpu")
    said = json.loads((scratch / "out/log.txt").read_text())
    assert (said["input"], said["output_dir"]) == ("../../in/model/model.onnx", ".")
    assert said["quant"]["input_configs"][0]["calibration_dataset"] == "../../in/datasets.0000/all.zip"


@pytest.mark.parametrize(("device", "seen"), [("cuda:3", "3"), ("cpu", "all")])
def test_a_command_sees_the_gpu_that_is_asked_for_and_no_other(scratch, device, seen):
    show = "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES', 'all'))"
    inputs, params = (scratch / "in/model", []), Pulsar2QuantParams({"quant": {"device": "cuda:0"}}, ())
    call = command(sys.executable, "-c", show)
    with pytest.raises(Pulsar2MissesError):
        pulsar2_quantise(*inputs, scratch / "out", params=params, call=call, device=device)
    assert (scratch / "out/log.txt").read_text() == f"{seen}\n"


REFUSED = [
    (
        "docker: Error response from daemon: could not select device driver",
        "cuda:3",
        "could not select device driver",
    ),
    ("docker: Error response from daemon: no space left", "cpu", "no space left"),
]


@pytest.mark.parametrize("status", [125, 126])
@pytest.mark.parametrize(("said", "device", "sentence"), REFUSED)
def test_a_container_that_docker_does_not_start_is_told_in_docker_s_words(scratch, said, device, sentence, status):
    docker = ["sh", "-c", f"echo {said!r}; echo; echo \"Run 'docker run --help' for more information\"; exit {status}"]
    call = {"argv": docker, "image": "sha256:5", "user": "1:1", "environment": {}}
    with pytest.raises(NoContainerError) as caught:
        Pulsar2Run(call, scratch / "out", device).build(BuildConfig())
    assert caught.value.sentence.endswith(sentence)
    assert ("cuda:3" in caught.value.hint) == (device == "cuda:3")


@pytest.mark.parametrize("name", ["all.zip", "ALL.TAR.GZ", "all.tgz"])
def test_an_archive_is_given_as_it_is(tmp_path, name):
    (tmp_path / name).touch()
    assert archive_of(tmp_path, tmp_path / "room") == tmp_path / name


def test_loose_samples_are_packed_by_their_names(tmp_path):
    for name in ("b/2.npy", "a.npy", "b/1.npy"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_text(name)
    with tarfile.open(archive_of(tmp_path / "set", tmp_path / "room")) as packed:
        assert packed.getnames() == ["a.npy", "b/1.npy", "b/2.npy"]


def test_a_value_that_the_vendor_does_not_take_is_refused_in_the_vendors_terms():
    with pytest.raises(BadSettingError) as caught:
        typed({"quant": {"calibration_method": "Auto"}}, {})
    assert caught.value.code == "AX522"
    assert caught.value.sentence.startswith("quant.calibration_method takes ")
    assert caught.value.place is None
