"""A rule of this workspace: the states that a recurrent model is in while it works through its samples."""

from axbuild.rules import FloatModel, Samples
from axbuild.workspace.artifact import as_tree
from axbuild.workspace.rule import Label, Source, Stage, String, rule

UNROLL = Stage("./unrolled_stages.py:unroll", float=True, outputs=("states/",))


@rule
class unrolled_states:
    """Run a float model over steps in the order of their names, and keep the state that it enters each step with."""

    gives = Samples

    model = Label("The float model.", provides=FloatModel, required=True)
    steps = Source("The .npy arrays of its other input, one a step.", required=True)
    input = String("The input that `steps` are for.", required=True)
    state = String("The input that carries the state; it begins as zeros.", required=True)
    next_state = String("The output that the next step's state is.", required=True)

    def actions(self, t, plan):
        params = t.only("input", "state", "next_state")
        states = plan.run(UNROLL, model=t.model.model, steps=as_tree(t.steps), params=params)
        plan.output("states/", states)
        return Samples(states.only, "Numpy", -1, "AutoColorSpace", (), ())
