"""A package that a configuration of the vendor's stands for: what an edit of it runs, and that a no-op stays one."""

import numpy as np
import pytest
from tune_net import residual_net

from net_workspace import net_workspace

BUILD = '[[pulsar2_build]]\nname = "net"\nconfig = "config.json"\n'
CONFIG = """{
  "input": "net.onnx",
  "quant": {
    "input_configs": [
      {"tensor_name": "DEFAULT", "calibration_dataset": "samples", "calibration_format": "Numpy"},
    ],
  },
  "compiler": {
    "check": 1,
    "check_rtol": 1e-5, # as the vendor's
  },
}
"""


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    rng = np.random.default_rng(0)
    samples = [rng.standard_normal((1, 3, 8, 8), dtype=np.float32) for _ in range(2)]
    zoo = net_workspace(tmp_path_factory.mktemp("config") / "w", BUILD, residual_net().model("y"), samples)
    (zoo.root / "m/config.json").write_text(CONFIG)
    assert {"optimize", "quantize", "fuse", "compare"} <= set(zoo.build("//m:all").executed)
    return zoo


def edit(zoo, old, new):
    file = zoo.root / "m/config.json"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_a_tolerance_in_the_configuration_reruns_only_the_comparison(zoo):
    assert zoo.build("//m:all").executed == []
    edit(zoo, "1e-5", "1e-4")
    assert zoo.build("//m:all").executed == ["compare"]
    assert zoo.build("//m:all").executed == []


def test_a_comment_in_the_configuration_reruns_nothing(zoo):
    edit(zoo, "as the vendor's", "as it was")
    done = zoo.build("//m:all")
    assert done.executed == []
    assert zoo.build("//m:all").executed == []


def test_a_target_that_an_edit_adds_or_takes_away_is_seen(zoo):
    edit(zoo, '"check": 1,', '"check": 0,')
    assert "//m:net_check" not in zoo.run("query", "//m:all").out
    assert zoo.run("build", "//m:net_check").code == 2
    edit(zoo, '"check": 0,', '"check": 1,')
    assert "//m:net_check" in zoo.run("query", "//m:all").out
    assert zoo.build("//m:net_check").executed == []


def test_the_axmodel_has_the_name_of_the_table(zoo):
    zoo.build("//m:net")
    assert (zoo.root / "axbuild-out/m/net/compiled.axmodel").is_file()
    assert sorted(zoo.run("query", "deps(//m:net)").out.split()) == [
        "//m:net",
        "//m:net_calib",
        "//m:net_float",
        "//m:net_quant",
    ]


def test_what_is_imported_builds_the_very_same(zoo):
    imported = zoo.root / "m/imported.toml"
    assert zoo.run("import", "m/config.json", "--name", "net", "--output", str(imported)).code == 0
    (zoo.root / "m/BUILD.toml").write_text(imported.read_text())
    assert zoo.build("//m:all").executed == []
    (zoo.root / "m/BUILD.toml").write_text(BUILD)
    again = zoo.run("import", "m/config.json", "--output", str(imported))
    assert again.code == 2
    assert "is there already" in again.err


def test_why_knows_the_targets(zoo):
    said = zoo.run("why", "//m:net_check").out.partition("//m:net_check\n")[2]
    assert [line.split()[0] for line in said.splitlines()][-1] == "compare"
