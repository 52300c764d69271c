"""Enums of the vendor's configuration: names and the numbers published for them."""

from __future__ import annotations

COLOR_SPACE = {
    "AutoColorSpace": 0,
    "GRAY": 1,
    "BGR": 2,
    "RGB": 3,
    "RGBA": 4,
    "YUV420SP": 6,
    "YVU420SP": 7,
    "YUYV422": 8,
    "UYVY422": 9,
    "RAW": 10,
}
LAYOUT = {"DefaultLayout": 0, "NHWC": 1, "NCHW": 2}
DATA_TYPE = {
    "DefaultDataType": 0,
    "U8": 1,
    "S8": 2,
    "U16": 3,
    "S16": 4,
    "U32": 5,
    "S32": 6,
    "U64": 7,
    "S64": 8,
    "FP16": 9,
    "FP32": 10,
    "BF16": 11,
}
NPU_MODE = {"NPU1": 0, "NPU2": 1, "NPU3": 2, "NPU4": None}
HARDWARE_TYPE = {"AX650": 0, "AX620E": 1, "AX615": None, "M76H": 2, "M57": 5, "AX637": None, "AX8860": None}
MODEL_TYPE = {"ONNX": 0, "QuantAxModel": 1, "QuantONNX": 3}
QUANT_METHOD = {"MinMax": 0, "Percentile": 1, "MSE": 2, "KL": 3}
PRECISION_ANALYSIS_METHOD = {"PerLayer": 0, "EndToEnd": 1}
PRECISION_ANALYSIS_MODE = {"Reference": 0, "NPUBackend": 1}
CHECK_MODE = {"CheckOutput": 0, "CheckPerLayer": 1}
DATA_FORMAT = {"Image": 0, "Numpy": 1, "Binary": 2, "NumpyObject": 3}
CSC_MODE = {"NoCSC": 0, "Matrix": 1, "FullRange": 2, "LimitedRange": 3}
SCHEDULE_STRATEGY = {"Tile": 0, "Slice": 1}
MATCH_MODE = {"Op": 0, "Tensor": 1}

MODES_OF = {
    "AX650": ("NPU1", "NPU2", "NPU3"),
    "AX620E": ("NPU1", "NPU2"),
    "AX615": ("NPU1", "NPU2"),
    "M76H": ("NPU1", "NPU2", "NPU3"),
    "M57": ("NPU1",),
    "AX637": ("NPU1",),
    "AX8860": ("NPU1", "NPU2", "NPU4"),
}
"""target_hardware -> the values of npu_mode that it has"""
YUV = ("YUV420SP", "YVU420SP", "YUYV422", "UYVY422")
"""values of src_format that colour space conversion is for"""
