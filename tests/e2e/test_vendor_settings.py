"""`axbuild pulsar2 build` inside a workspace: its settings count, what it says of targets does not."""

import json

import numpy as np
import onnx
import pytest
from tune_net import residual_net, samples_with_an_outlier

from zoo_workspace import Zoo

CONFIG = {
    "quant": {
        "input_configs": [
            {"tensor_name": "DEFAULT", "calibration_dataset": "samples", "calibration_format": "Numpy"},
        ],
    },
}
SETTINGS = """
[cache]
dir = "../own"
read_from = "../shared"

[build]
jobs = 1

[resources]
optimize_seconds = 600

[defaults.axmodel]
npu_mode = "NPU3"

[config.ci.build]
jobs = 7
"""
COMMAND = ("pulsar2", "build", "--input", "net.onnx", "--config", "config.json", "--output_dir", "out")


def project(root, settings):
    """A folder of a user's below a workspace with these settings."""
    here = root / "work/models"
    (here / "samples").mkdir(parents=True)
    net = residual_net()
    onnx.save(net.model("y"), here / "net.onnx")
    for number, sample in enumerate(samples_with_an_outlier(net)):
        np.save(here / f"samples/{number}.npy", sample)
    (here / "config.json").write_text(json.dumps(CONFIG))
    (root / "work/axbuild.toml").write_text(settings)
    made = Zoo(here, root)
    del made.environment["AXBUILD_CACHE_DIR"]
    return made


def events_of(zoo):
    lines = (zoo.root / "out/.axbuild/events.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A cache that somebody else filled by the same build, and what that printed."""
    root = tmp_path_factory.mktemp("vendor_settings")
    done = project(root, '[cache]\ndir = "../shared"\n').run(*COMMAND)
    assert done.code == 0, done.out + done.err
    return root / "shared", done.out


def test_settings_of_the_workspace_around_count_and_its_defaults_of_rules_do_not(shared, tmp_path):
    (tmp_path / "shared").symlink_to(shared[0])
    zoo = project(tmp_path, SETTINGS)
    done = zoo.run(*COMMAND)
    assert done.code == 0, done.out + done.err
    started, ended = events_of(zoo)[0], events_of(zoo)[-1]
    assert started["jobs"] == 1
    assert (ended["counts"]["executed"], ended["counts"]["cached"] > 10) == (0, True)  # all taken from read_from
    assert done.out.splitlines()[:-1] == shared[1].splitlines()[:-1]
    assert (tmp_path / "own/cas").is_dir()
    assert json.loads((zoo.root / "out/build_context.json").read_text())["npu_mode"] == "NPU1"
    assert (zoo.root / "out/.axbuild/axbuild.toml").read_text() == (
        f'# Written by `pulsar2 build`.\n[cache]\ndir = "{tmp_path}/own"\nread_from = "{tmp_path}/shared"\n'
        "[build]\njobs = 1\n[resources]\noptimize_seconds = 600.0\n"
    )


def test_a_bound_of_the_workspace_around_stops_what_takes_longer(tmp_path):
    zoo = project(tmp_path, "[resources]\noptimize_seconds = 0.001\n")
    done = zoo.run(*COMMAND)
    assert done.code == 1, done.out
    assert "limit of 0.001 s" in done.err
    zoo.environment["AXBUILD_RESOURCES_OPTIMIZE_SECONDS"] = "600"
    assert zoo.run(*COMMAND).code == 0


def test_a_mistake_in_the_settings_around_is_told_with_its_line_and_nothing_is_written(tmp_path):
    zoo = project(tmp_path, "[build]\njbos = 1\n")
    done = zoo.run(*COMMAND)
    assert done.code == 2
    assert "axbuild.toml:2: error AX102: unknown setting 'build.jbos'" in done.err
    assert not (zoo.root / "out").exists()
