"""`axbuild builds`"""

from __future__ import annotations

import json
import sys

import click

from axbuild.cli.common import here, json_option
from axbuild.engine.records.history import BuildRecord, History
from axbuild.report.reasons import builds_text
from axbuild.report.style import quiet_pipes


@click.command("builds")
@json_option
def command(as_json: bool) -> int:
    """List the builds on record, with the numbers by which `why` and `diff` speak of them.

    The last thirty builds that made something are kept, and the last three that did not. A build answered at once,
    since nothing at all had changed, leaves no record.
    """
    records = History(here().state_dir / "builds").newest_first()
    with quiet_pipes():
        print(json.dumps([_record(record) for record in records]) if as_json else builds_text(records, sys.stdout))
    return 0


def _record(record: BuildRecord) -> dict[str, object]:
    end = record.finished
    return {
        "number": record.number,
        "id": record.started.id if record.started else "",
        "time": record.time,
        "command": record.command,
        "exit_code": end.exit_code if end else None,
        "seconds": end.seconds if end else None,
        "counts": end.counts if end else {},
    }
