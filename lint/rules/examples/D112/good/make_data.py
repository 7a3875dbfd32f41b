import h5py
import numpy

data = numpy.random.default_rng(0).normal(size=(8, 4)).astype("float32")
with h5py.File("train.h5", "w") as file:
    file["data"] = data
    file["label"] = numpy.arange(8) % 2
