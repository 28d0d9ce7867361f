"""Makes small.caffemodel.h5, in the form in which Caffe writes weights as HDF5, of the layers of the
description that the fuzz tests carry."""

from pathlib import Path

import h5py
import numpy as np

LAYERS = {
    "data": [],
    "c": [(4, 1, 3, 3), (4,)],
    "bn": [(4,), (4,), (1,)],
    "s": [(4,), (4,)],
    "d": [(4, 2, 2, 2)],
    "f": [(3, 8), (3,)],
}

with h5py.File(Path(__file__).with_name("small.caffemodel.h5"), "w") as f:
    data = f.create_group("data")
    for name, shapes in LAYERS.items():
        layer = data.create_group(name)
        for i, shape in enumerate(shapes):
            n = int(np.prod(shape))
            layer[str(i)] = (np.arange(n, dtype="float32") * 0.25 - 1).reshape(shape)
