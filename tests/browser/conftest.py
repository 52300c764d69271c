"""What these tests open: a workspace built once, and a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tune_net import residual_net, samples_with_an_outlier

from axbuild.toolchain.npu.program.decode import decode
from browser_world import LONG, Built, Opened
from net_workspace import AXMODEL, QUANT, net_workspace

REPORT = """
[[precision_report]]
name = "layers"
quant = ":quant"
"""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    net = residual_net()
    build = QUANT + AXMODEL + "npu_perf = true\n" + REPORT
    root = tmp_path_factory.mktemp("browser") / "workspace"
    zoo = net_workspace(root, build, _long_names(net.model("y")), samples_with_an_outlier(net))
    zoo.build("//m:axmodel", "//m:layers")
    compiler = root / "axbuild-out/m/axmodel/compiler"
    program = decode((compiler / "subgraph_npu_0/b1/program.msgpack").read_bytes())
    return Built(compiler / "debug/subgraph_npu_0/b1", root / "axbuild-out/m/layers/precision_report.html", program)


def _long_names(model: onnx.ModelProto) -> onnx.ModelProto:
    names = {"wide": LONG, "inner": f"{LONG}/act"}
    for node in model.graph.node:
        node.name = names.get(node.name, node.name)
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    return model


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    assert chromium, "there is no Chromium: `make browser` says how to have one"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has none for root
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=chromium, args=sandbox)
        yield running
        running.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Opened]]:
    pages: list[Page] = []

    def from_disk(file: Path, width: int = 1280, scheme: str = "light") -> Opened:
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        pages.append(page)
        found = Opened(page)
        page.on("console", lambda message: found.said.append(message.text))
        page.on("pageerror", lambda error: found.said.append(str(error)))
        page.on("request", lambda request: found.asked.append(request.url))
        page.goto(file.as_uri())
        found.asked.remove(file.as_uri())
        return found

    yield from_disk
    for page in pages:
        page.close()
