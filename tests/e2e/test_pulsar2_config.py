"""A package that a configuration of the vendor's stands for: what an edit of it runs, and that a no-op stays one."""

import json
import shutil

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


IDLE = '"check": 1,\n    "check_cosine_simularity": 0.5,'


def told(outcome):
    """The warnings about settings that a build prints, and those among its events."""
    lines = [line for line in outcome.err.splitlines() if "AX527" in line]
    said = [event for event in outcome.events if event["event"] == "diagnostic"]
    return lines, [event["sentence"] for event in said if event["code"] == "AX527"]


def test_what_has_no_effect_is_told_by_each_build_and_once(zoo):
    plain = (zoo.root / "m/config.json").read_text()
    edit(zoo, '"check": 1,', IDLE)
    sentence = "m/config.json:10: compiler.check_cosine_simularity has no effect without check 3"
    expected = [f"warning AX527: {sentence}"], [sentence]
    for again in range(2):
        done = zoo.build("//m:all")
        assert (done.executed, told(done)) == ([], expected), again
    edit(zoo, '"check_rtol"', '"npu_perf": true, "check_rtol"')  # what is built is a part, of which the rest is told
    assert told(zoo.build("//m:all")) == expected
    assert told(zoo.run("test", "//m:net_check")) == expected
    (zoo.root / "m/config.json").write_text("\n" + (zoo.root / "m/config.json").read_text())
    assert told(zoo.build("//m:all"))[1] == [sentence.replace(":10:", ":11:")]
    (zoo.root / "m/config.json").write_text(plain)
    for _ in range(2):
        assert told(zoo.build("//m:all")) == ([], [])


def test_what_is_said_of_one_package_stays_said_when_another_is_edited(zoo):
    plain = (zoo.root / "m/config.json").read_text()
    edit(zoo, '"check": 1,', IDLE)
    shutil.copytree(zoo.root / "m", zoo.root / "n")
    both = [f"{name}/config.json:10: compiler.check_cosine_simularity has no effect without check 3" for name in "mn"]
    assert sorted(told(zoo.build("//m:net", "//n:net"))[1]) == both
    other = zoo.root / "n/config.json"
    other.write_text(other.read_text().replace('"check":', '"npu_perf": true, "check":'))
    for _ in range(2):
        assert sorted(told(zoo.build("//m:net", "//n:net"))[1]) == both
    other.write_text(plain)
    for _ in range(2):
        assert told(zoo.build("//m:net", "//n:net"))[1] == both[:1]
    assert told(zoo.build("//n:net"))[1] == []
    shutil.rmtree(zoo.root / "n")
    (zoo.root / "m/config.json").write_text(plain)


PARTED = """"static_batch_sizes": [1, 3],
    "compiler_group_patterns": [{"nodes": [{"types": ["Conv"]}, {"types": ["Add"]}]}, {"nodes": [{"types": ["Tanh"]}]}],
    "sub_configs": [{
      "start_tensor_names": ["DEFAULT"], "end_tensor_names": ["seen"], "max_dynamic_batch_size": 2,
      "enable_data_soft_compression": true, "disable_ir_fix": true,
      "compiler_group_patterns": [{"nodes": [{"types": ["Conv"]}, {"types": ["Relu"]}]}],
    }],
    "check_rtol\""""


def test_a_part_has_batches_a_compression_and_patterns_of_its_own(zoo):
    plain = (zoo.root / "m/config.json").read_text()
    edit(zoo, '"check_rtol"', PARTED)
    done = zoo.build("//m:net")
    assert {"dynamic_batches_sub_config_0", "fuse"} <= {event["action"] for event in done.finished("executed")}
    said = {event["code"]: event["sentence"] for event in done.events if event["event"] == "diagnostic"}
    assert said["AX595"].startswith("compiler_group_patterns[1] matches no operators: the model has no Tanh there")
    assert said["AX596"].startswith("sub_configs[0].compiler_group_patterns[0] ('first' to 'first') cannot run as one")
    facts = json.loads(zoo.run("inspect", "axbuild-out/m/net/compiled.axmodel", "--json").out)
    first, *others = [[program["batch"] for program in one["programs"]] for one in facts["subgraphs"]]
    assert (first in ([1], [1, 2]), others) == (True, [[1, 3]])
    assert facts["stored_bytes"].keys() == {"npu_params_apart", *(f"subgraph_npu_0_b{n}_neu" for n in first)}
    assert zoo.run("test", "//m:net_check").code == 0
    (zoo.root / "m/config.json").write_text(plain)


def test_two_entries_have_a_line_each(zoo):
    plain = (zoo.root / "m/config.json").read_text()
    parts = """"sub_configs": [
      {"start_tensor_names": ["DEFAULT"], "end_tensor_names": ["a"], "static_batch_sizes": [1]},
      {"start_tensor_names": ["a"], "end_tensor_names": ["b"],
       "static_batch_sizes": [2, 2]},
    ],
    "check_rtol\""""
    edit(zoo, '"check_rtol"', parts)
    done = zoo.run("build", "//m:net")
    assert done.code == 2
    assert "m/config.json:13: error AX106: sub_configs[1].static_batch_sizes names a batch twice" in done.err
    assert '13 | "static_batch_sizes": [2, 2]},' in done.err
    (zoo.root / "m/config.json").write_text(plain)


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
