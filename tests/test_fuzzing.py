"""A share of the fuzzing that is the same in every run: `make fuzz` runs the same targets for as long as one likes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

for _needed in ("grpc_tools", "h5py", "cramjam", "PIL", "plyvel"):
    pytest.importorskip(_needed, reason=f"{_needed} is not installed, which makes or reads inputs")
if not (Path(__file__).resolve().parent.parent / "benchmarks").is_dir():
    pytest.skip("the benchmarks, which hold the judge, are not here", allow_module_level=True)

from fuzz.choices import Choices  # noqa: E402
from fuzz.generated import EXTREMES, job_with, mutated_job, numeric_fields  # noqa: E402
from fuzz.generated import job as any_job  # noqa: E402
from fuzz.limits import Limits, TooCostly, within  # noqa: E402
from fuzz.targets import TARGETS  # noqa: E402
from fuzz.whole_checks import WHOLE, check, fix  # noqa: E402

from caffe_lint.data import snappy  # noqa: E402
from caffe_lint.data.datum import read_datum  # noqa: E402
from caffe_lint.source.opener import Unreadable, read_regular  # noqa: E402

READERS = sorted(TARGETS.keys() - WHOLE.keys())
SHARE = settings(max_examples=40, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
CHOICES = st.randoms(use_true_random=False)


@pytest.mark.parametrize("name", READERS)
def test_a_reader_of_bytes_takes_inputs_that_are_changed_at_random(name: str) -> None:
    target = TARGETS[name]
    chance = random.Random(name)
    seeds = target.seeds()
    for number in range(150):
        content = bytearray(chance.choice(seeds)[: target.longest])
        for _ in range(chance.choice((1, 1, 2, 4))):
            at = chance.randrange(len(content) + 1)
            content[at : at + chance.randint(0, 2)] = chance.choice((b"", b"\xff", b"\x00", b"9" * 30, chance.randbytes(2)))
        if number % 10:
            target.run(bytes(content))
        else:
            within(target.limits, len(content), lambda content=bytes(content): target.run(content))


@SHARE
@given(CHOICES)
def test_a_check_of_a_generated_job_ends_and_finds_the_same_again(chance: random.Random) -> None:
    check(any_job(chance), twice=True)


@SHARE
@given(CHOICES)
def test_a_check_of_a_job_with_mistakes_ends(chance: random.Random) -> None:
    check(mutated_job(chance), twice=False)


@SHARE
@given(CHOICES)
def test_what_is_fixed_is_what_was_said_and_stays(chance: random.Random) -> None:
    fix(any_job(chance), unsafe=True)


@pytest.mark.parametrize("value", EXTREMES)
def test_numeric_fields_with_a_number_that_no_training_has(value: str) -> None:
    chance = random.Random(value)
    for path in chance.sample(numeric_fields(), 60):
        check(job_with(path, value), twice=False)
    for path in chance.sample(numeric_fields(), 10):
        fix(job_with(path, value), unsafe=True)


def test_every_numeric_field_of_the_schema_is_among_those_that_are_tried() -> None:
    fields = numeric_fields()
    for path in (("solver", "base_lr"), ("layer", "convolution_param", "weight_filler", "std"), ("net", "input_dim")):
        assert path in fields
    assert len(fields) == len(set(fields)) > 1000


def test_choices_are_those_of_the_bytes_and_go_on_after_them() -> None:
    first, again = Choices(b"\x03\x01"), Choices(b"\x03\x01")
    assert (first.getrandbits(2), first.getrandbits(8)) == (3, 1)
    again.getrandbits(16)
    assert [first.random() for _ in range(5)] == [again.random() for _ in range(5)]


def test_work_and_memory_beyond_the_limits_are_noticed() -> None:
    with pytest.raises(TooCostly, match="more than 110 calls for 10 bytes"):
        within(Limits(calls=100, calls_per_byte=1), 10, lambda: [len(()) for _ in range(200)])
    with pytest.raises(TooCostly, match="bytes of memory for 10 bytes"):
        within(Limits(memory=1000), 10, lambda: bytes(1_000_000))
    within(Limits(calls=300), 10, lambda: [len(()) for _ in range(200)])
    probe = set[int]().add
    within(Limits(calls=100, calls_per_byte=1), 10, lambda: [probe(number) for number in range(200)], probe)


@pytest.mark.parametrize(
    "content", [b"\x04\x0cabc", b"\x05\x10abcd", b"P\x04ab\xfe\x02\x0060"], ids=["literal", "longer literal", "copy"]
)
def test_snappy_that_ends_within_an_element_is_broken_for_both_decoders(content: bytes) -> None:
    for decode in (snappy.unpack, snappy.decompress):
        with pytest.raises(snappy.BrokenSnappy):
            decode(content)


@pytest.mark.parametrize("size", [b"\xf0\x00", b"\xf4\x00\x00", b"\xf8\x00\x00\x00", b"\xfc\x00\x00\x00\x00"])
def test_snappy_may_end_in_a_short_literal_with_a_long_form_of_its_length(size: bytes) -> None:
    for decode in (snappy.unpack, snappy.decompress):
        assert decode(b"\x01" + size + b"a") == b"a"


def test_a_datum_of_a_huge_shape_reserves_no_memory_for_its_floats() -> None:
    content = b"\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\x19\x18\x025\x00\x00\x00\x00"
    within(Limits(memory=1_000_000), len(content), lambda: read_datum(content))


def test_reading_a_small_file_reserves_no_memory_for_the_largest_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"a" * 100_000)
    within(Limits(memory=1_000_000), 100_000, lambda: read_regular(str(path), 1_000_000_000))
    assert read_regular(str(path), 100_000) == b"a" * 100_000
    with pytest.raises(Unreadable):
        read_regular(str(path), 99_999)


def test_a_schema_may_have_a_default_that_is_not_utf_8() -> None:
    TARGETS["caffe-proto"].run(b'syntax = "proto2"; message A { optional string a = 1 [default = "x\xfe"]; }')
