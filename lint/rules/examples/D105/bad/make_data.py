import h5py
import numpy

data = numpy.random.default_rng(0).normal(size=(200, 4)).astype("float32")
data[5, 2] = 1e6
with h5py.File("train.h5", "w") as file:
    file["data"] = data
    file["label"] = numpy.arange(200) % 2
