import h5py
import numpy

random = numpy.random.default_rng(0)
with h5py.File("train.h5", "w") as file:
    file["data"] = random.normal(size=(8, 4)).astype("float32")
    file["tags"] = 255.0 * random.integers(0, 2, size=(8, 3))
