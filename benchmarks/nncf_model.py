"""Let NNCF quantise a model as it does by default: python benchmarks/nncf_model.py MODEL.onnx SAMPLES.npy OUT.onnx

Stands alone, for an environment of its own: NNCF wants other versions of what we use. SAMPLES: [n, ...] of the first
input.
"""

import sys

import nncf
import numpy as np
import onnx


def main(source: str, samples: str, target: str) -> None:
    model, data = onnx.load(source), np.load(samples)
    port = model.graph.input[0].name
    calibration = nncf.Dataset([{port: sample[np.newaxis]} for sample in data])
    onnx.save(nncf.quantize(model, calibration, subset_size=len(data)), target)


if __name__ == "__main__":
    main(*sys.argv[1:])
