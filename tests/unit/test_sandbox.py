"""What surrounds an action: its folder with declared inputs, its walls, and what is taken out afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from axbuild.codes import exit_code_of
from axbuild.engine.code.closure import Code
from axbuild.engine.workers.guard import Refused, Walls
from axbuild.engine.workers.sandbox import FileInput, InputChanged, TreeInput, collect, prepare
from axbuild.store import statcache
from axbuild.store.faults import BlobLost
from axbuild.store.statcache import StatCache
from axbuild.store.store import Store
from axbuild.workspace.stage import Stage


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "cache") as store:
        yield store


@pytest.fixture
def stat(tmp_path):
    return StatCache(tmp_path / "stat")


def source(stat, path, text):
    path.write_text(text)
    return FileInput(stat.digest_of(path), path)


def test_inputs_stand_under_their_roles_whatever_their_sources_are_called(store, stat, tmp_path):
    blob = FileInput(store.blobs.add_bytes(b"blob"))
    one, two = source(stat, tmp_path / "one.onnx", "1"), source(stat, tmp_path / "two.onnx", "2")
    scratch = store.scratch()
    tree = TreeInput({"a/b.npy": one, "c.npy": blob})
    inputs = {"model": one, "made": blob, "parts": [two, blob], "tree": tree, "no": []}
    assert prepare(scratch, inputs, store.blobs, stat) == {
        "model": f"{scratch}/in/model",
        "made": f"{scratch}/in/made",
        "parts": [f"{scratch}/in/parts.0000", f"{scratch}/in/parts.0001"],
        "tree": f"{scratch}/in/tree",
        "no": [],
    }
    found = {str(path.relative_to(scratch)): path.read_text() for path in scratch.rglob("*") if path.is_file()}
    assert found == {
        "in/model": "1",
        "in/made": "blob",
        "in/parts.0000": "2",
        "in/parts.0001": "blob",
        "in/tree/a/b.npy": "1",
        "in/tree/c.npy": "blob",
    }
    assert (scratch / "out").is_dir()


def test_a_stage_that_writes_to_its_inputs_spoils_neither_source_nor_blob(store, stat, tmp_path):
    inputs = {"a": source(stat, tmp_path / "a", "source"), "b": FileInput(store.blobs.add_bytes(b"blob"))}
    for path in prepare(store.scratch(), inputs, store.blobs, stat).values():
        Path(path).write_text("spoilt")
    assert (tmp_path / "a").read_text() == "source"
    assert store.blobs.read_bytes(inputs["b"].digest) == b"blob"


@pytest.mark.parametrize("aged", [True, False])
def test_a_source_that_changed_since_its_key_is_an_error(store, stat, tmp_path, monkeypatch, aged):
    if aged:
        monkeypatch.setattr(statcache.time, "time_ns", lambda: 4 * 10**18)
    before = source(stat, tmp_path / "a", "before")
    (tmp_path / "a").write_text("after!")
    with pytest.raises(InputChanged) as error:
        prepare(store.scratch(), {"a": before}, store.blobs, stat)
    assert exit_code_of(error.value.code) == 1
    assert str(tmp_path / "a") in error.value.sentence


def test_a_source_that_is_gone_is_an_error(store, stat, tmp_path):
    before = source(stat, tmp_path / "a", "before")
    (tmp_path / "a").unlink()
    with pytest.raises(InputChanged):
        prepare(store.scratch(), {"a": before}, store.blobs, stat)


def test_a_source_that_changes_while_it_is_copied_is_an_error(store, stat, tmp_path, monkeypatch):
    before = source(stat, tmp_path / "a", "before")

    def copy(source, target):
        Path(target).write_text("half bef")

    monkeypatch.setattr("axbuild.engine.workers.sandbox.clone_or_copy", copy)
    with pytest.raises(InputChanged):
        prepare(store.scratch(), {"a": before}, store.blobs, stat)


def test_a_lost_blob_is_told_before_anything_runs(store, stat):
    with pytest.raises(BlobLost):
        prepare(store.scratch(), {"a": FileInput("ab" * 32)}, store.blobs, stat)


def test_outputs_move_into_the_store(store):
    scratch = store.scratch()
    (scratch / "out/t/sub").mkdir(parents=True)
    for name in ("o.bin", "t/b", "t/a", "t/sub/c", "expansion.json"):
        (scratch / "out" / name).write_text(name)
    outputs = collect(scratch, Stage("m:f", outputs=("o.bin", "t/"), expands=True), store.blobs)
    assert list(outputs) == ["o.bin", "t/", "expansion.json"]
    assert list(outputs["t/"]) == ["a", "b", "sub/c"]
    assert store.blobs.read_bytes(outputs["t/"]["sub/c"]) == b"t/sub/c"
    assert store.blobs.read_bytes(outputs["o.bin"]) == b"o.bin"
    assert [path for path in scratch.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        ("open({root!r} + '/BUILD.toml').read()", "read '{root}/BUILD.toml', which is not one of its inputs"),
        ("Path({root!r}, 'BUILD.toml').read_text()", "not one of its inputs"),
        ("os.open({root!r} + '/cache/x', os.O_RDONLY)", "not one of its inputs"),
        ("os.listdir({root!r})", "not one of its inputs"),
        ("os.symlink({root!r} + '/BUILD.toml', 'l'); open('l')", "not one of its inputs"),
        ("open('../../BUILD.toml')", "not one of its inputs"),
        ("open('../job-0/out/o')", "not one of its inputs"),
        ("open(os.path.expanduser('~root') + '/.profile')", "not one of its inputs"),
        ("open({root!r} + '/new', 'w')", "write '{root}/new', outside its own folder"),
        ("os.remove({root!r} + '/BUILD.toml')", "outside its own folder"),
        ("os.rename('out', {root!r} + '/out')", "outside its own folder"),
        ("os.mkdir({root!r} + '/d')", "outside its own folder"),
        ("os.link({root!r} + '/BUILD.toml', 'l')", "outside its own folder"),
        ("open(sys.prefix + '/x', 'w')", "outside its own folder"),
        ("socket.socket()", "use a socket"),
        ("socket.create_connection(('localhost', 1))", "use a socket"),
        ("socket.gethostname()", "use a socket"),
        ("subprocess.run(['true'])", "start a process"),
        ("os.system('true')", "start a process"),
        ("os.execv('/bin/true', ['true'])", "start a process"),
        ("os.posix_spawn('/bin/true', ['true'], {{}})", "start a process"),
        ("os.fork()", "fork"),
    ],
)
def test_a_stage_reaches_nothing_but_its_own(bench, attempt, said):
    (bench.root / "BUILD.toml").write_text("x")
    root = str(bench.root)
    outcome = bench.run("reach", {"text": attempt.format(root=root)})
    assert not outcome.ok
    assert outcome.error["code"] == "AX554", outcome
    assert said.format(root=root) in outcome.error["sentence"]
    assert (bench.root / "BUILD.toml").read_text() == "x"


@pytest.mark.parametrize(
    "attempt",
    [
        "Path('tmp/x').write_text('x')",
        "import tempfile; tempfile.TemporaryDirectory().cleanup(); tempfile.NamedTemporaryFile().close()",
        "import shutil; Path('d/e').mkdir(parents=True); shutil.rmtree('d')",
        "open('/dev/null', 'w'); open('/etc/passwd').read()",
        "import colorsys, sysconfig; sysconfig.get_config_vars()",
        "open(os.__file__).read()",
    ],
)
def test_a_stage_may_use_its_own_folder_and_python(bench, attempt):
    outcome = bench.run("reach", {"text": attempt})
    assert outcome.ok, outcome


def test_a_declared_data_file_may_be_read_and_no_other(own_bench):
    rules = own_bench.root / "rules"
    (rules / "table.txt").write_text("table")
    own_bench.write(
        "reader",
        "from pathlib import Path\ndef read(out):\n"
        "    (out / 'o').write_text((Path(__file__).parent / 'table.txt').read_text())\n",
    )
    assert own_bench.text("reader:read", data=("./table.txt",)) == "table"
    assert own_bench.run("reader:read").error["code"] == "AX554"
    job = own_bench.job("reader:read", data=("./table.txt",))
    (rules / "table.txt").write_text("edited")
    own_bench.workers.submit(job)
    [outcome] = own_bench.workers.wait(30)
    assert outcome.error["code"] == "AX555"
    assert str(rules / "table.txt") in outcome.error["sentence"]


@pytest.mark.parametrize(
    ("module", "refused"),
    [
        ("axbuild.engine.code.key", "axbuild.engine"),
        ("axbuild.graph", "axbuild.graph"),
        ("pytest", "pytest"),
        ("numpy", "numpy"),
        ("_workspace_rules.hidden", "_workspace_rules.hidden"),
    ],
)
def test_a_module_that_no_import_declares_cannot_be_had(bench, module, refused):
    bench.write("hidden", "")
    outcome = bench.run("dynamic", {"text": module})
    assert outcome.error["code"] == "AX557", outcome
    assert f"asks for module '{refused}'" in outcome.error["sentence"]


def test_the_standard_library_can_be_had_undeclared(bench):
    assert bench.run("dynamic", {"text": "colorsys"}).ok


def test_another_stages_tools_stay_out_of_sight(bench):
    bench.write("numeric", "import numpy\ndef run(out):\n    (out / 'o').write_text(str(numpy.arange(3).sum()))\n")
    bench.code = Code(rules=bench.root / "rules")
    assert bench.text("numeric:run") == "3"
    assert bench.text("optional") == "None"
    assert bench.run("dynamic", {"text": "numpy"}).error["code"] == "AX557"
    assert bench.text("numeric:run") == "3"


def test_only_a_stage_that_runs_a_tool_starts_processes_and_that_is_all_it_may_beside_others(tmp_path):
    usual, running = Walls(str(tmp_path), {}), Walls(str(tmp_path), {}, processes=True)
    running.judge("subprocess.Popen", ("sh", ["sh"], None, None))
    for walls, event in ((usual, "subprocess.Popen"), (running, "os.fork"), (running, "socket.connect")):
        with pytest.raises(Refused):
            walls.judge(event, ())
