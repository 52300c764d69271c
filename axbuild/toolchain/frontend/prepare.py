"""A loaded model -> how it computes, and the same model as one static graph at our opset."""

from __future__ import annotations

from axbuild.toolchain.door import door
from axbuild.toolchain.frontend import check, control, shapes
from axbuild.toolchain.frontend.ends import Ends, freeze, renamed, wanted_shapes
from axbuild.toolchain.frontend.fold import fold
from axbuild.toolchain.frontend.input_shapes import settle_input_shapes
from axbuild.toolchain.frontend.light import LightModel, from_graph, to_graph
from axbuild.toolchain.frontend.open_standard import open_standard
from axbuild.toolchain.frontend.stand_in import stand_in
from axbuild.toolchain.frontend.support import require_known_inputs, require_no_sequences, require_plain_types
from axbuild.toolchain.frontend.version import open_functions, to_opset
from axbuild.toolchain.frontend.widen import widen
from axbuild.toolchain.frontend.wiring import InvalidModelError
from axbuild.toolchain.rewrites.explicit_pads import state_dilated_pads


def prepared(model: LightModel, ends: Ends) -> tuple[check.Trial, LightModel]:
    """(a run of the user's model, the same model at our opset with every shape that does not depend on data)."""
    settled(model, ends)
    open_functions(model)
    widen(model)
    require_known_inputs(model)
    converted = to_opset(model)
    open_standard(converted)
    fault = shapes.infer(converted)
    require_plain_types(converted)
    shapes.require_reasonable(converted)
    known = shapes.static_shapes(converted)
    for one in (model, converted):
        state_dilated_pads(one.proto.graph.node, known)
        stand_in(one)
    straight = _straightened(converted)
    if widen(straight):  # what stood inside control flow
        shapes.infer(straight)
    try:
        trial = check.trial(model)
    except check.NotRunnableError as error:
        raise fault or error from None
    look_at_shapes(straight, trial)
    return trial, straight


def settled(model: LightModel, ends: Ends) -> None:
    """The shapes of its inputs, those that are constant, and the names of its ends as they are asked for, in place."""
    settle_input_shapes(model, wanted_shapes(model, ends))
    freeze(model, ends.fix)
    renamed(model, ends.rename)


def look_at_shapes(model: LightModel, trial: check.Trial) -> None:
    """Shapes that inference leaves open although no data decides them, as a run shows them."""
    if names := shapes.unsettled(model):
        seen = check.run(model, trial.inputs, names)
        shapes.state(model, {name: seen[name] for name in names})


def _straightened(model: LightModel) -> LightModel:
    """The model without control flow and sequences: what is constant of it is folded and written out."""
    control.own_names(model.proto)
    while found := [node.name for node in control.undone(model.proto)]:
        with door(lambda said: InvalidModelError(f"the graphs inside the model's nodes are not valid: {said}")):
            graph = to_graph(model)
        fold(graph)
        model = from_graph(graph)
        control.own_nodes_again(model.proto)
        was_opened = control.opened(model)
        shapes.infer(model)
        shapes.require_reasonable(model)
        if not was_opened and found == [node.name for node in control.undone(model.proto)]:
            if control.control_flow(model.proto):
                raise control.refuse(model)
            break
    require_no_sequences(model)
    return model
