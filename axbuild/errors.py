"""The one error type users see, and the table of its codes.

A module that can go wrong in its own way declares its own subclass there, which builds
the sentence from its parts; the code must stand in CODES. Errors cross from workers to
the client as records (JSON), so everything a user reads is in the record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

USER_ERROR = 2
BUILD_FAILED = 1
TOOL_FAILED = 3
INTERRUPTED = 130

# code: (exit code, what it means). Ranges: AX1xx workspace and BUILD files, AX2xx graph and labels,
# AX3xx models and calibration data, AX4xx quantisation and compilation, AX5xx actions and checks,
# AX9xx the tool, its store and its machine.
CODES: dict[str, tuple[int, str]] = {
    "AX100": (USER_ERROR, "no workspace around the current folder"),
    "AX101": (USER_ERROR, "a file that is not valid TOML, or whose tables have the wrong form"),
    "AX102": (USER_ERROR, "an unknown setting in axbuild.toml, the environment or the command line"),
    "AX103": (USER_ERROR, "a setting's value is of the wrong type or out of range"),
    "AX104": (USER_ERROR, "a rule has no such attribute"),
    "AX105": (USER_ERROR, "no such rule"),
    "AX106": (USER_ERROR, "an attribute's value is of the wrong type or out of range"),
    "AX107": (USER_ERROR, "a required attribute is missing"),
    "AX108": (USER_ERROR, "two targets of one package have the same name"),
    "AX109": (USER_ERROR, "a source file does not exist"),
    "AX110": (USER_ERROR, "a source path leaves its package or lies among outputs"),
    "AX111": (USER_ERROR, "a glob or folder without a file, or a folder where a file is asked for"),
    "AX112": (USER_ERROR, "a file that is no ONNX model"),
    "AX113": (USER_ERROR, "a rule file that cannot be loaded"),
    "AX114": (USER_ERROR, "a setting that would have no effect"),
    "AX115": (USER_ERROR, "settings that contradict each other"),
    "AX116": (USER_ERROR, "a line of .axbuildignore that cannot be obeyed"),
    "AX117": (USER_ERROR, "a file of the workspace that cannot be read"),
    "AX118": (USER_ERROR, "external data of a model that is missing or lies outside its folder"),
    "AX119": (USER_ERROR, "a setting that is not supported"),
    "AX200": (USER_ERROR, "bad label syntax"),
    "AX201": (USER_ERROR, "no such package"),
    "AX202": (USER_ERROR, "no such target"),
    "AX203": (USER_ERROR, "targets that depend on each other in a circle"),
    "AX204": (USER_ERROR, "a label of a target that gives something else than the attribute takes"),
    "AX205": (USER_ERROR, "patterns that name no target"),
    "AX206": (USER_ERROR, "a rule laid out actions that cannot be run"),
    "AX250": (USER_ERROR, "`test` was given no target with a verdict"),
    "AX251": (USER_ERROR, "a file that --events, --junit or --profile names cannot be written"),
    "AX252": (USER_ERROR, "no such error code"),
    "AX253": (USER_ERROR, "a query expression that cannot be read"),
    "AX254": (USER_ERROR, "no build of the target is on record"),
    "AX255": (USER_ERROR, "no such rule to show"),
    "AX257": (USER_ERROR, "no such build on record"),
    "AX300": (USER_ERROR, "a float model's sources hold no single ONNX file, or the file is not one"),
    "AX301": (USER_ERROR, "external data of a model is missing, cut off, or outside the model's folder"),
    "AX302": (USER_ERROR, "a file is ONNX and the model in it is not valid"),
    "AX303": (USER_ERROR, "a model has types, operators, control flow or an opset that are not supported"),
    "AX304": (USER_ERROR, "input_shapes does not fit the model, or an input has unknown dimensions"),
    "AX305": (USER_ERROR, "the shape of a tensor does not follow from the inputs' shapes"),
    "AX306": (TOOL_FAILED, "a rewrite changed what a model computes; this is a defect to report"),
    "AX307": (USER_ERROR, "onnxruntime refuses to run a model"),
    "AX308": (USER_ERROR, "a BatchNormalization could not be fused (a warning)"),
    "AX309": (USER_ERROR, "a model computes infinities or NaN that depend on the order of its work"),
    "AX310": (USER_ERROR, "an input that no node reads is left out of a model (a warning)"),
    "AX330": (USER_ERROR, "a calibration sample does not fit its input, or has no partner of the same name"),
    "AX350": (USER_ERROR, "an operator, or a form of one, that cannot be quantised"),
    "AX351": (USER_ERROR, "a statistics file is damaged or belongs to another model"),
    "AX353": (USER_ERROR, "the float model gives values on the samples that no range can hold"),
    "AX354": (USER_ERROR, "a calibration method that there is not"),
    "AX331": (USER_ERROR, "an archive has members that leave it, are not plain files, or are absurdly large"),
    "AX332": (USER_ERROR, "an archive cannot be read"),
    "AX333": (USER_ERROR, "a picture cannot be decoded"),
    "AX334": (USER_ERROR, "an .npy file is damaged or does not fit the model's input"),
    "AX335": (USER_ERROR, "a calibration set is empty, mixed, or meant for an input that is not there"),
    "AX336": (USER_ERROR, "files of a calibration set are left out (a warning)"),
    "AX400": (USER_ERROR, "a compiled program is damaged or contradicts itself"),
    "AX401": (USER_ERROR, "an input of a simulation is missing, unknown, or of another shape or dtype"),
    "AX402": (USER_ERROR, "a chip or npu_mode that the reference NPU has no preset for"),
    "AX403": (USER_ERROR, "a subgraph that the compiler cannot read, or that does not work at a batch size"),
    "AX404": (USER_ERROR, "an operator does not fit the chip's on-chip memory"),
    "AX405": (TOOL_FAILED, "the compiler made a program that its verifier refuses; this is a defect to report"),
    "AX406": (USER_ERROR, "operators that the chip's NPU does not take"),
    "AX407": (USER_ERROR, "an input processor does not fit the input it is meant for"),
    "AX408": (USER_ERROR, "an operator of a quantised model that no engine of the chip runs"),
    "AX450": (USER_ERROR, "a node of a quantised model lacks what its operator needs"),
    "AX451": (USER_ERROR, "a constant of a quantised operator is out of range"),
    "AX452": (USER_ERROR, "scales too far apart to requantise between"),
    "AX453": (USER_ERROR, "an accumulator that could overflow"),
    "AX454": (USER_ERROR, "a reduction too large to be exact"),
    "AX455": (USER_ERROR, "shapes that a quantised operator cannot take"),
    "AX456": (USER_ERROR, "an operator unknown to the quantised model"),
    "AX480": (USER_ERROR, "a compiled model is damaged, or is none"),
    "AX481": (USER_ERROR, "a compiled model is of another toolchain or backend"),
    "AX482": (USER_ERROR, "a run of a compiled model has wrong names, shapes or dtypes"),
    "AX483": (TOOL_FAILED, "onnxruntime does not run a quantised model"),
    "AX484": (BUILD_FAILED, "the container has no place for a compiled model"),
    "AX485": (TOOL_FAILED, "programs do not belong to the partition they are fused with"),
    "AX500": (BUILD_FAILED, "an action failed"),
    "AX502": (BUILD_FAILED, "an expansion named children that are not allowed"),
    "AX503": (USER_ERROR, "an action needs a resource that this machine does not offer"),
    "AX504": (BUILD_FAILED, "a file that an action should have made is not there"),
    "AX505": (BUILD_FAILED, "two files of one tree have the same name"),
    "AX506": (USER_ERROR, "a source file cannot be read"),
    "AX507": (BUILD_FAILED, "an output's path cannot stand in the target's folder"),
    "AX508": (BUILD_FAILED, "a verdict that cannot be judged"),
    "AX509": (BUILD_FAILED, "building again gave other bytes"),
    "AX550": (BUILD_FAILED, "a stage failed with an unexpected error"),
    "AX551": (BUILD_FAILED, "the process of a stage was killed"),
    "AX552": (BUILD_FAILED, "a stage ran longer than it may"),
    "AX553": (BUILD_FAILED, "a stage wrote other outputs than it declares"),
    "AX554": (BUILD_FAILED, "a stage tried what a stage may not do"),
    "AX555": (BUILD_FAILED, "the code of a stage changed while the build ran"),
    "AX556": (TOOL_FAILED, "the worker process died"),
    "AX557": (BUILD_FAILED, "a stage asked for a module that its code does not declare"),
    "AX558": (USER_ERROR, "a rule and its stage do not agree"),
    "AX559": (USER_ERROR, "a stage imports a module of no installed distribution"),
    "AX560": (BUILD_FAILED, "an input changed while the build ran"),
    "AX561": (INTERRUPTED, "an action was stopped because the build was"),
    "AX900": (TOOL_FAILED, "axbuild itself failed; this is a defect to report"),
    "AX901": (TOOL_FAILED, "the disk of the cache is full"),
    "AX902": (TOOL_FAILED, "the cache cannot be written"),
    "AX903": (TOOL_FAILED, "a blob of the cache is missing or corrupt; its action runs again"),
    "AX904": (TOOL_FAILED, "rows of the result cache are damaged; their actions run again"),
    "AX905": (TOOL_FAILED, "the cache cannot be read"),
    "AX906": (USER_ERROR, "a file keeps changing while it is read"),
    "AX907": (TOOL_FAILED, "`cache verify` found files or rows of the cache damaged"),
    "AX908": (TOOL_FAILED, "the cache is above its size and everything in it is in use (a warning)"),
    "AX909": (USER_ERROR, "the cache named by `read_from` cannot be read, or is the cache itself"),
    "AX910": (TOOL_FAILED, "another process is collecting the cache"),
    "AX950": (TOOL_FAILED, "the outputs cannot be written"),
    "AX951": (TOOL_FAILED, "the cache is in use"),
    "AX952": (TOOL_FAILED, "what there is to say cannot be written"),
}


@dataclass(frozen=True)
class Place:
    """Where in a text file an error stands; line counts from 1, 0 when only the file is known."""

    file: str
    line: int = 0
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class AxError(Exception):
    """A mistake with a code, a sentence in the user's terms, perhaps a place and a way out."""

    code = "AX900"

    def __init__(self, sentence: str, *, place: Place | None = None, hint: str = "", code: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.place = place
        self.hint = hint
        self.code = code or type(self).code

    @property
    def exit_code(self) -> int:
        return CODES[self.code][0]

    def __str__(self) -> str:
        lines = [
            f"{self.place}: error {self.code}: {self.sentence}" if self.place else f"error {self.code}: {self.sentence}"
        ]
        if self.place and self.place.text:
            lines.append(f"  {self.place.line} | {self.place.text}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)

    def record(self) -> dict[str, Any]:
        place = self.place and {"file": self.place.file, "line": self.place.line, "text": self.place.text}
        return {"code": self.code, "sentence": self.sentence, "hint": self.hint, "place": place}

    @staticmethod
    def from_record(record: dict[str, Any]) -> AxError:
        place = Place(**record["place"]) if record.get("place") else None
        return AxError(record["sentence"], place=place, hint=record.get("hint", ""), code=record["code"])


class AxWarning(UserWarning):
    """What a stage passes to `warnings.warn`; stored with its action's result and replayed on every hit."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(f"warning {code}: {sentence}")
        self.code = code
        self.sentence = sentence
