"""How fast `caffe-lint inputs` goes through an LMDB, against a bare loop that decodes its Datums.

    python benchmarks/inputs_speed.py [RECORDS]

Makes an LMDB of RECORDS (a million by default) raw 28 x 28 images in a temporary folder, and goes through it in turns:
a loop over a cursor that parses each Datum by protobuf and takes its label and data, and our look in one process.
Prints the times of the best of three turns, their ratio, and how much memory the look takes more for the whole than for
a tenth.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from typing import Any

import lmdb

from caffe_lint.data import lmdb_source
from caffe_lint.data.source_report import Watch
from caffe_lint.proto import caffe_pb2

TURNS = 3


def make(path: str, records: int) -> None:
    """Writes the database."""
    pixels = os.urandom(1 << 16)
    with lmdb.open(path, map_size=records * 2000 + (1 << 24), sync=False) as environment:
        for start in range(0, records, 10_000):
            with environment.begin(write=True) as transaction:
                for index in range(start, min(records, start + 10_000)):
                    data = index.to_bytes(4, "little") + pixels[index % 60_000 : index % 60_000 + 780]
                    datum = caffe_pb2.Datum(channels=1, height=28, width=28, data=data, label=index * 7919 % 10)
                    transaction.put(f"{index:08d}".encode(), datum.SerializeToString(), append=True)


def bare(path: str) -> float:
    """Seconds of the bare loop."""
    started = time.process_time()
    datum = caffe_pb2.Datum()
    total = 0
    with lmdb.open(path, readonly=True, lock=False) as environment, environment.begin() as transaction:
        for _, value in transaction.cursor():
            datum.ParseFromString(value)
            total += datum.label + len(datum.data)
    return time.process_time() - started


def look(path: str, sample: int | None = None) -> float:
    """Seconds of our look."""
    started = time.process_time()
    records = lmdb_source.count(path)
    report = lmdb_source.look(path, Watch(), sample=sample, annotated=False, largest=records)
    assert report.looked_at == (sample or records)
    assert len(report.labels) == 10
    return time.process_time() - started


def memory(path: str, sample: int | None, answer: Any) -> None:
    """Tells the greatest memory of a process that looks, without the pages of the database, in MB."""
    look(path, sample)
    with open("/proc/self/status", encoding="ascii") as file:
        own = next((int(line.split()[1]) for line in file if line.startswith("RssAnon")), 0)
    answer.put(own / 1024 if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def memory_of(path: str, sample: int | None) -> float:
    """The same, from a process of its own."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=memory, args=(path, sample, answer))
    process.start()
    process.join()
    return float(answer.get())


def main() -> None:
    """Measures and prints."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "db")
        make(path, records)
        turns = [(bare(path), look(path)) for _ in range(TURNS)]
        loop, ours = min(turn[0] for turn in turns), min(turn[1] for turn in turns)
        print(f"{records} records: bare loop {loop:.2f} s, look {ours:.2f} s")
        print(f"speed of the look: {loop / ours:.0%} of the bare loop")
        print(f"memory: {memory_of(path, records // 10):.0f} MB for a tenth, {memory_of(path, None):.0f} MB for all")


if __name__ == "__main__":
    main()
