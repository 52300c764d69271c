"""A model on raw files: what `pulsar2 run` does once it knows what is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from axbuild.progress import tell
from axbuild.toolchain.npu.chips.table import ChipFile
from axbuild.toolchain.pulsar2.random_input import fill_with_random, require_free
from axbuild.toolchain.pulsar2.raw import OutputError, raw_files, read_raw, shape_in, write_raw
from axbuild.toolchain.pulsar2.run_list import OneRun, runs_of
from axbuild.toolchain.pulsar2.run_model import RunModel
from axbuild.toolchain.pulsar2.run_schema import RunConfig
from axbuild.toolchain.pulsar2.run_settings import opened, optional, required


def simulate(asked: RunConfig, chips: Mapping[str, ChipFile]) -> None:
    """Run, and print each file that was written. chips: name -> chip.

    Settings, list, names and sizes of all files are checked before anything is written; the outputs of a run appear
    together.
    """
    runs = runs_of(optional(asked, "list"), required(asked, "input_dir"), required(asked, "output_dir"))
    model = opened(asked, chips)
    work = _Work(model, runs)
    work.check_outputs()
    if asked.random_input:
        work.make_up_inputs()
    work.check_inputs()
    for number, run in enumerate(runs):
        tell("run", number, len(runs))
        work.run(run)


class _Work:
    """One model and its runs."""

    def __init__(self, model: RunModel, runs: Sequence[OneRun]) -> None:
        """Raises RawFileError where two inputs, or two outputs, have one file."""
        self.model, self.runs = model, runs
        tensors = {tensor.name: tensor for tensor in model.inputs}
        self.inputs = {file: tensors[name] for name, file in raw_files(tensors).items()}
        self.outputs = raw_files(model.names)

    def check_outputs(self) -> None:
        """That no output takes the place of an input, of whichever run."""
        given = {(run.inputs / file).resolve() for run in self.runs for file in self.inputs}
        for run in self.runs:
            for name, file in self.outputs.items():
                if (run.outputs / file).resolve() in given:
                    raise OutputError(
                        f"output '{name}' would overwrite the input {run.outputs / file}",
                        hint="name another --output_dir",
                    )

    def make_up_inputs(self) -> None:
        for run in self.runs:
            require_free(run.inputs, self.inputs, self.model.count, run.label)
        for run in self.runs:
            fill_with_random(run.inputs, self.inputs, self.model.count, run.label)

    def check_inputs(self) -> None:
        for run in self.runs:
            for file, tensor in self.inputs.items():
                shape_in(run.inputs / file, tensor, self.model.count)

    def run(self, run: OneRun) -> None:
        print(f">>> [{run.label}] start", flush=True)
        feed = {
            tensor.name: read_raw(run.inputs / file, tensor, self.model.count) for file, tensor in self.inputs.items()
        }
        found = self.model.run(feed)
        write_raw(run.outputs, {file: found[name] for name, file in self.outputs.items()})
        for name, file in self.outputs.items():
            print(f"write [{name}] to [{run.outputs / file}] successfully")
        print(f">>> [{run.label}] finish", flush=True)
