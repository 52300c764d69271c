"""How a file came to be, as the rows of a cache tell it."""

from __future__ import annotations

from pathlib import Path

from axbuild.report.provenance import provenance_lines
from axbuild.store.ancestry import ancestry
from axbuild.store.digests import digest_of_bytes
from axbuild.store.result import ActionResult
from axbuild.store.results import Results


def digest(text):
    return digest_of_bytes(text.encode())


def kept(results, label, stage, outputs, **inputs):
    """Write down that an action made `outputs` of `inputs`: names of contents, or dicts of them for trees."""

    def named(shape):
        return {name: digest(text) for name, text in shape.items()} if isinstance(shape, dict) else digest(shape)

    record = {
        "stage": f"rooms:{stage}",
        "code": digest("code"),
        "params": {"of": stage},
        "tools": {"numpy": "2"},
        "platform": None,
        "inputs": {role: named(shape) for role, shape in inputs.items()},
    }
    result = ActionResult(record, {name: named(shape) for name, shape in outputs.items()})
    results.put(digest(f"key of {stage} {inputs}"), result, {}, ("0" * 16, label, stage))


def steps(folder: Path, wanted):
    rows = Results(folder, lambda *_: None).rows()
    found = ancestry(rows, digest(wanted))
    rows.close()
    return found


def made(folder: Path) -> Results:
    results = Results(folder, lambda *_: None)
    kept(results, "//m:float", "optimize", {"optimized/": {"m.onnx": "graph"}}, model={"net.onnx": "net"})
    kept(results, "//m:quant", "quantize", {"q.onnx": "quant"}, model={"m.onnx": "graph"}, samples={"a.png": "picture"})
    kept(
        results,
        "//m:axmodel",
        "fuse",
        {"compiled.axmodel": "axmodel"},
        partition="quant",
        float_model={"m.onnx": "graph"},
    )
    kept(results, "//m:other", "optimize", {"optimized/": {"m.onnx": "other"}}, model={"net.onnx": "elsewhere"})
    return results


def test_every_action_on_the_way_is_named_once_with_the_sources_that_nothing_made(tmp_path):
    made(tmp_path).close()
    found = steps(tmp_path, "axmodel")
    assert [(one.label, one.action, one.params) for one in found] == [
        ("//m:axmodel", "fuse", {"of": "fuse"}),
        ("//m:float", "optimize", {"of": "optimize"}),
        ("//m:quant", "quantize", {"of": "quantize"}),
    ]
    assert [one.sources for one in found] == [
        (),
        (("model/net.onnx", digest("net")),),
        (("samples/a.png", digest("picture")),),
    ]
    assert list(provenance_lines(found)) == [
        f"sources     model/net.onnx of //m:float optimize: {digest('net')}",
        f"            samples/a.png of //m:quant quantize: {digest('picture')}",
        "tools       numpy 2",
        f'made by     //m:axmodel fuse, code {digest("code")[:12]}, {{"of": "fuse"}}',
        f'            //m:float optimize, code {digest("code")[:12]}, {{"of": "optimize"}}',
        f'            //m:quant quantize, code {digest("code")[:12]}, {{"of": "quantize"}}',
    ]


def test_of_two_makers_of_the_same_bytes_the_one_before_they_were_read_counts(tmp_path):
    results = made(tmp_path)
    kept(results, "//m:float", "optimize", {"optimized/": {"m.onnx": "graph"}}, model={"net.onnx": "commented net"})
    results.close()
    sources = {name for one in steps(tmp_path, "axmodel") for _, name in one.sources}
    assert sources == {digest("net"), digest("picture")}


def test_a_file_that_no_action_made_has_no_ancestors(tmp_path):
    made(tmp_path).close()
    assert steps(tmp_path, "something else") == []
    assert list(provenance_lines([])) == [
        "provenance  no cache of a workspace around here remembers how this file was made"
    ]
