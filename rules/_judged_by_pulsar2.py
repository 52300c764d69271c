"""What a real Pulsar2 says of what it made: its own check of a compiled model, its own analysis of precision.

Either is one more run of it, since its results cannot be opened here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axbuild.dataclass import replace
from axbuild.graph.plan import Plan
from axbuild.workspace.artifact import Artifact
from axbuild.workspace.providers import Verdict
from axbuild.workspace.rule import Attribute, Settled, Stage

from ._driving import PREFLIGHT, compiling, datasets, hand_over_logs, on_calibration_data, written
from ._nouns import Pulsar2AxModel, Pulsar2Quant
from .checking import LEVELS, folder_of

CHECK = Stage(
    "axbuild.toolchain.pulsar2.driver.check:pulsar2_check",
    outputs=("verdict.json", "report.json", "log.txt"),
    external="pulsar2",
)
ANALYSE = Stage(
    "axbuild.toolchain.pulsar2.driver.analyse:pulsar2_analyse",
    outputs=("debug/", "verdict.json", "report.json", "log.txt"),
    external="pulsar2",
    device=True,
)

Attributes = Mapping[str, Attribute]


def checked_by_pulsar2(t: Settled, plan: Plan, made: Pulsar2AxModel, attributes: Attributes) -> Verdict:
    """Compiled again with a check, on the calibration data where no other is given."""
    config = written(t, attributes, ("axmodel", "level", "input_sample_dir"), made.compilation.config)
    config.setdefault("compiler", {})["check"] = LEVELS.index(t.level) + 1
    asked = replace(made.compilation, config=config)
    if data := folder_of(t, "input_sample_dir", t.input_sample_dir):
        asked = replace(asked, data=asked.data | {"compiler.input_sample_dir": data})
    else:
        asked = on_calibration_data(asked, made.quant)
    plan.preflight(PREFLIGHT, params={"quantisation": made.quantisation, "compilation": asked.config})
    done = compiling(plan, CHECK, made.quantised, asked)
    plan.output("verdict.json", done["verdict.json"])
    plan.verdict(done["verdict.json"])
    hand_over_logs(plan, check=done)
    return Verdict(done["verdict.json"])


def analysed_by_pulsar2(t: Settled, plan: Plan, made: Pulsar2AxModel | Pulsar2Quant, attributes: Attributes) -> Verdict:
    """Quantised again with an analysis, whose tables are handed over; they are not judged."""
    if isinstance(made, Pulsar2Quant):
        sentence = "a real Pulsar2 quantises for a chip, and quant names the quantised model, which has none"
        hint = 'name the axmodel, or write toolchain = "pulsar2" in the pulsar2_build'
        raise t.error("quant", sentence, hint=hint, code="AX115")
    config = written(t, attributes, ("quant", "input_sample_dir"), made.quantisation)
    config["quant"]["precision_analysis"] = True
    data: dict[str, Artifact] = datasets(made.quant)
    if own := folder_of(t, "input_sample_dir", t.input_sample_dir):
        data["quant.input_sample_dir"] = own
    plan.preflight(PREFLIGHT, params={"quantisation": config, "compilation": made.compilation.config})
    params: dict[str, Any] = {"config": config, "places": list(data)}
    done = plan.run(ANALYSE, model=made.quant.source, data=[*data.values()], params=params, device=made.quant.device)
    plan.output("debug/", done["debug/"])
    hand_over_logs(plan, analysis=done)
    return Verdict(done["verdict.json"])
