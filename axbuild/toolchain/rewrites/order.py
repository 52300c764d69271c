"""All rewrites of the front end, in their order."""

from __future__ import annotations

from typing import Any

from axbuild.toolchain.rewrites.activation_first import ActivationFirst
from axbuild.toolchain.rewrites.affine_to_conv import AffineToConv
from axbuild.toolchain.rewrites.batch_norm_to_conv import BatchNormToConv
from axbuild.toolchain.rewrites.batch_norm_to_mul import BatchNormToMul
from axbuild.toolchain.rewrites.blocks import BlocksInOneOrder, MovesToBlocks, SlicesToBlocks
from axbuild.toolchain.rewrites.canonical_product import CanonicalProduct, OpenGemm
from axbuild.toolchain.rewrites.canonical_resize import CanonicalResize
from axbuild.toolchain.rewrites.cast_to_bool import CastToBool
from axbuild.toolchain.rewrites.clip_to_extremes import ClipToExtremes
from axbuild.toolchain.rewrites.concat_constant import ConcatConstant
from axbuild.toolchain.rewrites.drop_channels import DropChannels
from axbuild.toolchain.rewrites.drop_expand import DropExpand
from axbuild.toolchain.rewrites.drop_nan_guard import DropNanGuard
from axbuild.toolchain.rewrites.explicit_pads import ExplicitPads
from axbuild.toolchain.rewrites.extreme_to_clip import ExtremeToClip
from axbuild.toolchain.rewrites.fold_depth import ConvDepth, ConvTransposeDepth, GlobalPoolDepth, PoolDepth
from axbuild.toolchain.rewrites.fuse_activation import FuseActivation
from axbuild.toolchain.rewrites.fuse_affine import FuseAffine
from axbuild.toolchain.rewrites.fuse_batch_norm import FuseBatchNorm
from axbuild.toolchain.rewrites.fuse_branches import FuseBranches
from axbuild.toolchain.rewrites.fuse_constants import FuseConstants
from axbuild.toolchain.rewrites.fuse_convs import FuseConvs
from axbuild.toolchain.rewrites.fuse_factor import FuseFactor
from axbuild.toolchain.rewrites.fuse_length import FuseLength
from axbuild.toolchain.rewrites.fuse_norm import FuseNorm
from axbuild.toolchain.rewrites.fuse_pad import FusePad
from axbuild.toolchain.rewrites.fuse_pool_pad import FusePoolPad
from axbuild.toolchain.rewrites.fuse_rotary import FuseRotary
from axbuild.toolchain.rewrites.fuse_scale import FuseScale
from axbuild.toolchain.rewrites.gather_to_slice import GatherToSlice
from axbuild.toolchain.rewrites.hoist_constant import HoistConstant
from axbuild.toolchain.rewrites.keep_axes import KeepAxes, ReshapeBack, ReshapeLast
from axbuild.toolchain.rewrites.known_positions import KnownPositions
from axbuild.toolchain.rewrites.last_of_equal import LastOfEqual
from axbuild.toolchain.rewrites.lift_line import LiftLine
from axbuild.toolchain.rewrites.lift_reduction import LiftReduction
from axbuild.toolchain.rewrites.listed_indices import ListedIndices
from axbuild.toolchain.rewrites.mask_to_where import MaskToWhere
from axbuild.toolchain.rewrites.mean_to_pool import MeanToPool
from axbuild.toolchain.rewrites.mod_to_div import ModToDiv
from axbuild.toolchain.rewrites.narrow_integers import NarrowIntegers
from axbuild.toolchain.rewrites.norm_to_layer_norm import NormToLayerNorm
from axbuild.toolchain.rewrites.normalize_gemm import NormalizeGemm
from axbuild.toolchain.rewrites.one_reshape import OneReshape
from axbuild.toolchain.rewrites.one_slope import OneSlope
from axbuild.toolchain.rewrites.open_attention import OpenAttention
from axbuild.toolchain.rewrites.open_einsum import OpenEinsum
from axbuild.toolchain.rewrites.or_to_greater import OrToGreater
from axbuild.toolchain.rewrites.order_channels import OrderInputs, OrderOutputs
from axbuild.toolchain.rewrites.own_mask import OwnMask
from axbuild.toolchain.rewrites.pair_operands import PairOperands
from axbuild.toolchain.rewrites.plain_norm import LengthAlongLast, SumOfMagnitudes
from axbuild.toolchain.rewrites.plain_pad import PlainPad
from axbuild.toolchain.rewrites.plain_pool import PlainAverage, PlainMaxPool
from axbuild.toolchain.rewrites.plain_reduction import CountTruth, DropReduction
from axbuild.toolchain.rewrites.plain_resize import ResizeToGather, ResizeToProduct
from axbuild.toolchain.rewrites.plain_transpose import PlainTranspose
from axbuild.toolchain.rewrites.pool_before_clamp import PoolBeforeClamp
from axbuild.toolchain.rewrites.reciprocal_to_div import ReciprocalToDiv
from axbuild.toolchain.rewrites.reshape_first import ReshapeFirst
from axbuild.toolchain.rewrites.rewrite import Rewrite
from axbuild.toolchain.rewrites.rows_of_samples import RowsOfSamples
from axbuild.toolchain.rewrites.scaled_elu import ScaledElu
from axbuild.toolchain.rewrites.sign_to_compare import SignToCompare
from axbuild.toolchain.rewrites.sink_scale import SinkScale
from axbuild.toolchain.rewrites.to_reshape import ToReshape
from axbuild.toolchain.rewrites.whole_powers import WholePowers
from axbuild.toolchain.rewrites.whole_scores import WholeScores

REWRITES: tuple[Rewrite[Any], ...] = (
    OpenAttention(),
    OpenEinsum(),
    KeepAxes(),
    ReshapeLast(),
    ReshapeBack(),
    FuseNorm(),
    ReciprocalToDiv(),
    MaskToWhere(),
    DropReduction(),
    CountTruth(),
    WholeScores(),
    OwnMask(),
    DropNanGuard(),
    CastToBool(),
    ClipToExtremes(),
    NarrowIntegers(),
    OrToGreater(),
    ModToDiv(),
    WholePowers(),
    SignToCompare(),
    LastOfEqual(),
    PairOperands(),
    ScaledElu(),
    FuseActivation(),
    FuseRotary(),
    DropExpand(),
    ExtremeToClip(),
    OneSlope(),
    FuseLength(),
    NormToLayerNorm(),
    SumOfMagnitudes(),
    LengthAlongLast(),
    KnownPositions(),
    ConcatConstant(),
    SinkScale(),
    FuseConstants(),
    ExplicitPads(),
    PlainTranspose(),
    FusePad(),
    PoolBeforeClamp(),
    FusePoolPad(),
    PlainPad(),
    PlainMaxPool(),
    PlainAverage(),
    OpenGemm(),
    CanonicalProduct(),
    NormalizeGemm(),
    RowsOfSamples(),
    FuseBatchNorm(),
    FuseAffine(),
    BatchNormToConv(),
    BatchNormToMul(),
    HoistConstant(),
    FuseFactor(),
    FuseBranches(),
    FuseAffine(),
    AffineToConv(),
    FuseAffine(),
    FuseScale(),
    FuseConvs(),
    DropChannels(),
    MeanToPool(),
    CanonicalResize(),
    ResizeToGather(),
    ToReshape(),
    OneReshape(),
    ReshapeFirst(),
    PoolDepth(),
    GlobalPoolDepth(),
    ConvDepth(),
    ConvTransposeDepth(),
    LiftLine(),
    LiftReduction(),
    ResizeToProduct(),
    MovesToBlocks(),
    SlicesToBlocks(),
    BlocksInOneOrder(),
    OrderOutputs(),
    OrderInputs(),
    ActivationFirst(),
    ListedIndices(),
    GatherToSlice(),
    OneReshape(),
)
"""each sees the graph that the earlier ones left"""
