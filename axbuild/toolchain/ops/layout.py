"""Ops that give the same bits another shape or order."""

from __future__ import annotations

import onnx_ir as ir

from axbuild.toolchain.graph import (
    Shape,
    constant_input,
    constant_integers,
    input_of,
    integer,
    integers,
    is_activation,
    is_used,
    needed_input,
    shape_of,
    static_shape,
    text,
)
from axbuild.toolchain.kinds.base import Kind
from axbuild.toolchain.kinds.codes import ElementType, type_of
from axbuild.toolchain.kinds.mover import Reshape, Transpose
from axbuild.toolchain.kinds.rearrange import Rearrange
from axbuild.toolchain.ops.base import Bounds, Follow, Limit, Op, SettledNode, Step

CONSTANT_AXES = Limit("its axes must be constants", lambda n: not is_activation(input_of(n, 1)))


class MovingOp(Op):
    """One input, one grid."""

    moves = True

    def kind(self, node: ir.Node, elements: ElementType) -> Kind:
        """What moves elements of that type."""
        raise NotImplementedError

    def lower(self, q: SettledNode) -> list[Step]:
        return q.single(self.kind(q.node, type_of(q.target)), q.input(0))

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 0),)


class Reshaped(MovingOp):
    """The same elements in ONNX order under the output's shape."""

    def kind(self, node: ir.Node, elements: ElementType) -> Kind:
        return Reshape(elements, self.batched(node))

    def batched(self, node: ir.Node) -> Shape:
        """The output's shape with -1 where the samples of a batch lie."""
        return static_shape(shape_of(needed_input(node, 0)), shape_of(node.outputs[0]))


class Inert(Reshaped):
    """Nothing at inference; swallowed by the op before it where that has no other reader."""

    def follows(self, node: ir.Node) -> Follow:
        return Follow(bounds=Bounds.FREE)


class ReshapeOp(Reshaped):
    """The same elements in ONNX order under another shape, which is static."""

    onnx = "Reshape"
    soi = (1,)
    limits = (Limit("its shape must be a constant", lambda n: not is_activation(input_of(n, 1))),)
    cases = (
        "test_reshape_extended_dims",
        "test_reshape_negative_dim",
        "test_reshape_negative_extended_dims",
        "test_reshape_one_dim",
        "test_reshape_reduced_dims",
        "test_reshape_reordered_all_dims",
        "test_reshape_reordered_last_dims",
        "test_reshape_zero_and_negative_dim",
        "test_reshape_zero_dim",
    )

    def batched(self, node: ir.Node) -> Shape:
        """Where dim 0 is not the input's, at the first 0 or -1 that the node's own shape has."""
        usual, asked = super().batched(node), constant_integers(node, 1, "shape") or ()
        free = next((place for place, size in enumerate(asked) if size < 1), None)
        if -1 in usual or free is None:
            return usual
        return (*usual[:free], -1, *usual[free + 1 :])


class FlattenOp(Reshaped):
    """Rank 2 around `axis`."""

    onnx = "Flatten"
    cases = (
        "test_flatten_axis0",
        "test_flatten_axis1",
        "test_flatten_axis2",
        "test_flatten_axis3",
        "test_flatten_negative_axis1",
        "test_flatten_negative_axis2",
        "test_flatten_negative_axis3",
        "test_flatten_negative_axis4",
        "test_flatten_default_axis",
    )


class SqueezeOp(Reshaped):
    """Dimensions of size 1 go."""

    onnx = "Squeeze"
    soi = (1,)
    limits = (CONSTANT_AXES,)
    cases = ("test_squeeze", "test_squeeze_negative_axes")


class UnsqueezeOp(Reshaped):
    """Dimensions of size 1 come."""

    onnx = "Unsqueeze"
    soi = (1,)
    limits = (CONSTANT_AXES,)
    cases = (
        "test_unsqueeze_axis_0",
        "test_unsqueeze_axis_1",
        "test_unsqueeze_axis_2",
        "test_unsqueeze_negative_axes",
        "test_unsqueeze_three_axes",
        "test_unsqueeze_two_axes",
        "test_unsqueeze_unsorted_axes",
    )


class TransposeOp(MovingOp):
    """Axes in another order; without `perm` reversed."""

    onnx = "Transpose"
    cases = ("test_transpose_default", *(f"test_transpose_all_permutations_{index}" for index in range(6)))

    def kind(self, node: ir.Node, elements: ElementType) -> Kind:
        return Transpose(elements, _permutation(node))

    def channel_axis(self, node: ir.Node, axis: int) -> int:
        return _permutation(node).index(axis)


class Blocks(Op):
    """A channel's pixels and channels trade places: an axis in two, another order, axes joined."""

    moves = True

    def parts(self, node: ir.Node) -> tuple[Shape, tuple[int, ...]]:
        """(the shape with blocks on axes of their own, the order that they take)."""
        raise NotImplementedError

    def shared(self, node: ir.Node) -> tuple[ir.Value, ...]:
        return (needed_input(node, 0),)

    def lower(self, q: SettledNode) -> list[Step]:
        (_, *apart), order = self.parts(q.node)
        (_, *joined) = shape_of(q.node.outputs[0])
        return q.single(Rearrange.whole(type_of(q.target), (-1, *apart), order, (-1, *joined)), q.input(0))


def _permutation(node: ir.Node) -> tuple[int, ...]:
    rank = len(shape_of(needed_input(node, 0)))
    return tuple(axis % rank for axis in integers(node, "perm", tuple(reversed(range(rank)))))


class IdentityOp(Inert):
    """x"""

    onnx = "Identity"
    cases = ("test_identity", "test_clip_default_inbounds_expanded")


def _training(node: ir.Node) -> bool:
    mode = constant_input(node, 2)
    return is_activation(input_of(node, 2)) or (mode is not None and bool(mode.any()))


class DropoutOp(Inert):
    """x; the mask is of no use at inference."""

    onnx = "Dropout"
    soi = (1, 2)
    limits = (
        Limit("its mask cannot be computed", lambda n: not any(is_used(output) for output in n.outputs[1:])),
        Limit("it must not be in training mode", lambda n: not _training(n)),
    )
    cases = (
        "test_dropout_default",
        "test_dropout_default_ratio",
        "test_dropout_default_old",
        "test_dropout_random_old",
    )


class DepthToSpaceOp(Blocks):
    """Channels become b x b pixels, in the order DCR or CRD."""

    onnx = "DepthToSpace"
    cases = ("test_depthtospace_crd_mode_example", "test_depthtospace_example")

    def parts(self, node: ir.Node) -> tuple[Shape, tuple[int, ...]]:
        n, c, h, w = shape_of(needed_input(node, 0))
        b = integer(node, "blocksize", 1)
        if text(node, "mode", "DCR") == "CRD":
            return (n, c // b**2, b, b, h, w), (0, 1, 4, 2, 5, 3)
        return (n, b, b, c // b**2, h, w), (0, 3, 4, 1, 5, 2)


class SpaceToDepthOp(Blocks):
    """b x b pixels become channels, in the order DCR or CRD."""

    onnx = "SpaceToDepth"
    cases = ("test_spacetodepth", "test_spacetodepth_example")

    def parts(self, node: ir.Node) -> tuple[Shape, tuple[int, ...]]:
        n, c, h, w = shape_of(needed_input(node, 0))
        b = integer(node, "blocksize", 1)
        apart = (n, c, h // b, b, w // b, b)
        return apart, (0, 1, 3, 5, 2, 4) if text(node, "mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
