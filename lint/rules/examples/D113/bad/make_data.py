import lmdb

from caffe_lint.proto.caffe_pb2 import Datum

with lmdb.open("train_lmdb", map_size=1 << 20) as database, database.begin(write=True) as writing:
    for number in range(4):
        item = Datum(channels=1, height=2, width=2, data=bytes(4 * [number]), label=number % 2)
        writing.put(b"%08d" % number, item.SerializeToString())
