"""Check very many prototxt files with Spark, and write the findings to Parquet: see docs/fleets.md.

    spark-submit examples/fleets/job.py FILES OUTPUT [--copies N]

FILES is a folder with one folder for each repository, or a Parquet table with the columns `path` (`repository/…`) and `content`.
OUTPUT is a folder to create. With --copies, everything is checked so many times, under other names, to measure.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from caffe_lint import api

if TYPE_CHECKING:
    from pyspark import Accumulator
    from pyspark.sql import DataFrame, SparkSession

SCHEMA = (
    "repository string, path string, line int, column int, code string, name string, severity string,"
    " confidence string, message string, fixable boolean"
)
SUFFIXES = (".prototxt", ".pbtxt", ".txtpb", ".prototxt.txt")
Finding = tuple[str, str, int, int, str, str, str, str, str, bool]


def findings_of(repository: str, texts: Mapping[str, bytes]) -> Iterator[Finding]:
    """Yield the findings on the files of a repository, solvers together with their nets.

    A pure function: it reads the texts that it is given, no configuration, and writes nothing. What cannot be checked is a row
    without a code, so that one repository does not stop the others.
    """
    try:
        with _empty_folder():
            report = api.check(texts, settings=api.Settings(isolated=True), texts=texts, verdicts=False)
    except Exception as error:  # a row for whoever looks into it
        yield repository, "", 0, 0, "", "", "", "", f"{type(error).__name__}: {error}", False
        return
    for sentence in report.errors:
        yield repository, "", 0, 0, "", "", "", "", sentence, False
    for one in report.findings:
        place, fix = one.place, one.fix
        is_fixable = fix is not None and fix.safe
        yield (
            repository,
            place.path,
            place.line,
            place.column,
            one.code,
            one.name,
            one.severity,
            one.confidence,
            one.message,
            is_fixable,
        )


@contextmanager
def _empty_folder() -> Iterator[None]:
    """Work in an empty folder: a solver may name files that lie where a training is started, and the worker's have no part in it."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def files_in(spark: SparkSession, source: str) -> DataFrame:
    """Return the columns `path`, beginning with the repository, and `content`."""
    if source.rstrip("/").endswith(".parquet"):
        return spark.read.parquet(source).select("path", "content")
    root = os.path.abspath(source)
    read = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(f"file://{root}")
    rows = read.select("path", "content").rdd.map(
        lambda row: (row.path.removeprefix(f"file:{root}/"), bytes(row.content))
    )
    return rows.filter(lambda row: row[0].endswith(SUFFIXES)).toDF("path string, content binary")


def check(files: DataFrame, partitions: int, work: Accumulator[float], copies: int = 1) -> DataFrame:
    """Return the findings on all files, with SCHEMA. When they are computed, `work` gets the processor time in seconds."""

    def copied(path: str, content: bytes) -> Iterator[tuple[str, tuple[str, bytes]]]:
        repository, _, rest = path.partition("/")
        for number in range(copies):
            name = f"{repository}-{number}" if copies > 1 else repository
            yield name, (f"{name}/{rest}", content)

    def checked(group: tuple[str, Iterable[tuple[str, bytes]]]) -> Iterator[Finding]:
        before = time.process_time()
        findings = list(findings_of(group[0], dict(sorted(group[1]))))
        work.add(time.process_time() - before)
        return iter(findings)

    groups = files.rdd.flatMap(lambda row: copied(row.path, bytes(row.content))).groupByKey(partitions)
    return groups.flatMap(checked).toDF(SCHEMA)


def main() -> None:
    """Run the job and print how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", metavar="FILES")
    parser.add_argument("output", metavar="OUTPUT")
    parser.add_argument("--copies", type=int, default=1)
    options = parser.parse_args()
    from pyspark.sql import SparkSession  # so that findings_of can be had, and tested, without Spark

    spark = SparkSession.builder.appName("caffe-lint").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    cores = spark.sparkContext.defaultParallelism
    start = time.monotonic()
    files = files_in(spark, options.files)
    number = files.count() * options.copies
    # Many more parts than cores: repositories differ in size by a thousand times.
    work = spark.sparkContext.accumulator(0.0)
    check(files, 32 * cores, work, options.copies).write.parquet(options.output)
    seconds = time.monotonic() - start
    found = spark.read.parquet(options.output)
    failed = found.filter("code = ''").count()
    print(f"{number} files, {found.count() - failed} findings, {failed} that could not be checked")
    print(f"{work.value:.0f} s of processor time in checks, {1000 * work.value / number:.1f} ms a file")
    print(f"{seconds:.0f} s from reading to Parquet with {cores} workers: {number / seconds:.1f} files a second")
    for row in found.filter("code != ''").groupBy("severity").count().orderBy("severity").collect():
        print(f"{row['count']:8} {row['severity']}")
    spark.stop()


if __name__ == "__main__":
    main()
