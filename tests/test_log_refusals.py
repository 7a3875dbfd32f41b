"""Refusals and crashes in logs, whole or as people paste them: the cause, its own numbers, and when it came."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from caffe_lint.engine.diagnosis import diagnose
from caffe_lint.training_log.causes import Diagnosed
from caffe_lint.training_log.log_reader import LogReader
from caffe_lint.training_log.refusal_messages import LONGEST_TEXT, MEANINGS, explain

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
INFO, E, F = (f"{severity}0611 08:00:00.000000  41 " for severity in "IEF")
BUILDING = f"{INFO}layer_factory.hpp:77] Creating layer pics\n{INFO}net.cpp:84] Creating Layer pics\n"
STEPS = "".join(
    f"{INFO}solver.cpp:218] Iteration {number}, loss = {2.3 / (1 + number / 30):.4g}\n"
    f"{INFO}sgd_solver.cpp:105] Iteration {number}, lr = 0.01\n"
    for number in range(0, 300, 20)
)


def causes(text: str) -> list[Diagnosed]:
    reader = LogReader()
    reader.feed(text.encode())
    return diagnose(reader.finish())


def first(text: str) -> Diagnosed:
    return causes(text)[0]


def bare(text: str) -> str:
    """The same without the prefixes of glog."""
    return "".join(line.partition("] ")[2] or line for line in text.splitlines(keepends=True))


def windows(text: str) -> str:
    words = {"I": "INFO", "E": "ERROR", "F": "FATAL"}
    lines = []
    for line in text.splitlines():
        head, found, said = line.partition("] ")
        file, _, number = head.split(" ")[-1].partition(":")
        lines.append(f"1496000000  {words[line[0]]}: src\\caffe\\{file} : line {number} : {said}" if found else line)
    return "\n".join(lines) + "\n"


def digits(text: str) -> str:
    words = {"I": "DEBUG", "E": "ERROR", "F": "ERROR"}
    return "".join(
        f"2016-06-06 10:10:10 [20160606-101009-a1b2] [{words[line[0]]}] Train Caffe Model: {line.partition('] ')[2]}"
        if "] " in line
        else line
        for line in text.splitlines(keepends=True)
    )


def cut(text: str) -> str:
    """The same with the end of each prefix only, as a viewer with columns shows it."""
    return "".join(line.rpartition(" 41 ")[2] for line in text.splitlines(keepends=True))


FORMATS: list[Callable[[str], str]] = [str, bare, windows, digits, cut]
UNDECODABLE = f"{E}io.cpp:190] Could not decode datum \n{F}data_transformer.cpp:90] Check failed: datum_height >= crop_size (0 vs. 96) \n"
UNEQUAL = (
    f"{F}loss_layer.cpp:19] Check failed: bottom[0]->shape(0) == bottom[1]->shape(0) (50 vs. 31) "
    "The data and label should have the same first dimension.\n*** Check failure stack trace: ***\n"
    "    @     0x7f1122  google::LogMessage::Fail()\n    @     0x7f1133  caffe::LossLayer<>::Reshape()\n"
)


@pytest.mark.parametrize("written", FORMATS)
def test_a_record_that_cannot_be_decoded_is_the_cause_in_every_format(written: Callable[[str], str]) -> None:
    found = first(written(STEPS + UNDECODABLE))
    assert (found.code, found.cause.cause, found.cause.iteration) == ("T501", "corrupt-data", 280)
    assert "could not be decoded" in found.cause.message
    assert "after iteration 280" in found.cause.reason
    assert [line.text.endswith("Could not decode datum") for line in found.cause.evidence].count(True) == 1


@pytest.mark.parametrize("written", FORMATS)
def test_batches_of_different_size_are_told_from_files_that_do_not_fit(written: Callable[[str], str]) -> None:
    later, earlier, alone = (first(written(text)) for text in (STEPS + UNEQUAL, BUILDING + UNEQUAL, UNEQUAL))
    assert later.cause.cause == "batch-size-changes"
    assert "50 against 31" in later.cause.message
    assert "look at the data" in later.cause.reason
    assert earlier.cause.cause == alone.cause.cause == "shape-mismatch"
    assert "50 and 31" in earlier.cause.message
    if written is not bare:  # a bare "Creating layer" may be anybody's
        assert "look at the files" in earlier.cause.reason
    assert "does not show when" in alone.cause.reason
    assert "batches of different size" in alone.cause.reason
    assert "LossLayer::Reshape" in later.cause.reason


@pytest.mark.parametrize(
    "check",
    [
        "concat_layer.cpp:42] Check failed: top_shape[j] == bottom[i]->shape(j) (25 vs. 26) All inputs must have the same shape, except",
        "softmax_loss_layer.cpp:47] Check failed: outer_num_ * inner_num_ == bottom[1]->count() (640 vs. 600) Number of labels must match",
        "own_layer.cpp:9] Check failed: bottom[1]->height() == 1 (7 vs. 1)",
    ],
)
def test_any_sizes_that_differ_later_are_those_of_batches(check: str) -> None:
    assert first(f"{BUILDING}{F}{check}\n").cause.cause == "shape-mismatch"
    later = first(f"{STEPS}{F}{check}\n").cause
    assert later.cause == "batch-size-changes"
    assert "The same check passed before" in later.reason


def test_a_thread_that_reads_data_fails_in_the_run_that_it_reads_for() -> None:
    found = causes(STEPS + UNDECODABLE.replace("  41 ", "  57 "))
    assert [each.cause.cause for each in found] == ["corrupt-data"]


def test_an_empty_list_is_named_where_the_process_only_crashes() -> None:
    found = first(
        f"{BUILDING}{INFO}image_data_layer.cpp:38] Opening file lists/val.txt\n{INFO}image_data_layer.cpp:53] A total of 0 images.\n"
        "*** Aborted at 1507427136 (unix time) ***\nPC: @  0x0 (unknown)\n    @  0x2a caffe::ImageDataLayer<>::DataLayerSetUp()\n"
    )
    assert (found.code, found.cause.cause, found.cause.layer) == ("T502", "empty-source", "pics")
    assert "look at the files" in found.cause.reason
    assert any("lists/val.txt" in line.text for line in found.cause.evidence)


def test_a_list_that_is_not_empty_is_not_blamed() -> None:
    found = first(f"{BUILDING}{INFO}image_data_layer.cpp:53] A total of 800 images.\nSegmentation fault (core dumped)\n")
    assert found.cause.cause == "process-crash"


@pytest.mark.parametrize(
    ("frame", "cause"),
    [
        ("caffe::SoftmaxWithLossLayer<>::Forward_cpu()", "label-out-of-range"),
        ("caffe::AccuracyLayer<>::Forward_cpu()", "label-out-of-range"),
        ("caffe::ConvolutionLayer<>::Forward_cpu()", "process-crash"),
        ("0x7fff918dff1a _sigtramp", "process-crash"),
    ],
)
def test_the_stack_frames_say_which_layer_crashed(frame: str, cause: str) -> None:
    found = first(f"{STEPS}*** Aborted at 1464668121 (unix time) ***\nPC: @  0x10b25 {frame}\nSegmentation fault: 11\n")
    assert (found.code, found.cause.cause) == ("T502", cause)
    assert (frame.startswith("caffe")) == (frame[7:].replace("<>", "").rstrip("()") in found.cause.message)


@pytest.mark.parametrize(
    ("before", "check", "cause", "words"),
    [
        ("Resuming from out/net_iter_900.caffemodel", "Check failed: state.history_size() == history_.size() (0 vs. 22) x",
         "wrong-snapshot-file", "out/net_iter_900.caffemodel"),
        ("Resuming from out/net_iter_900.solverstate", "Check failed: state.history_size() == history_.size() (44 vs. 22) x",
         "wrong-snapshot-file", "44 history blobs, but this solver has 22"),
        ("Finetuning from out/net_iter_900.solverstate", "Check failed: target_blobs.size() == 0 (1 vs. 0)",
         "wrong-weights-file", "--weights was given a .solverstate"),
        ("Finetuning from vgg.caffemodel",
         "Cannot copy param 0 weights from layer 'fc8'; shape mismatch.  Source param shape is 1000 4096 (4096000); target param shape "
         "is 20 4096 (81920). To learn", "weights-do-not-fit", "layer 'fc8'"),
        ("Finetuning from vgg.caffemodel",
         "Cannot copy param 0 weights from layer 'c1'; shape mismatch.  Source param shape is 64 3 7 7 (9408); target param shape "
         "is 64 128 7 7 (401408). To learn", "channels-last", "height x width x channels"),
    ],
)  # fmt: skip
def test_files_of_the_command_line_are_told_apart(before: str, check: str, cause: str, words: str) -> None:
    found = first(f"{INFO}caffe.cpp:120] {before}\n{F}sgd_solver.cpp:318] {check}\n*** Check failure stack trace: ***\n")
    assert found.cause.cause == cause
    assert words in f"{found.cause.message} {found.cause.reason}"


@pytest.mark.parametrize(
    ("check", "cause", "words"),
    [
        ("data_transformer.cpp:60] Check failed: channels == datum_channels (3 vs. 1)", "image-size-mismatch", "has 1 channels"),
        ("data_transformer.cpp:60] Check failed: channels == datum_channels (3 vs. 240)", "channels-last", "240"),
        ("data_transformer.cpp:88] Check failed: datum_height >= crop_size (3 vs. 240)", "channels-last", "240"),
        ("data_transformer.cpp:88] Check failed: datum_height >= crop_size (200 vs. 227)", "image-size-mismatch", "227"),
        ("data_transformer.cpp:63] Check failed: datum_height == data_mean_.height() (760 vs. 256)", "mean-mismatch", "760"),
        ("data_transformer.cpp:621] Check failed: mean_values_.size() == 1 || mean_values_.size() == img_channels Specify either 1 "
         "mean_value or as many as channels: 1", "mean-mismatch", "has 1 channels"),
        ("data_transformer.cpp:1036] Check failed: datum_channels > 0 (0 vs. 0)", "data-shape-mismatch", "0 channels"),
        ("db_lmdb.hpp:15] Check failed: mdb_status == 0 (2 vs. 0) No such file or directory", "missing-data-source", ""),
        ("db_lmdb.hpp:15] Check failed: mdb_status == 0 (-30793 vs. 0) MDB_INVALID: not an LMDB file", "corrupt-data", ""),
        ("syncedmem.cpp:71] Check failed: error == cudaSuccess (2 vs. 0)  out of memory", "out-of-memory", ""),
        ("math_functions.cu:79] Check failed: error == cudaSuccess (77 vs. 0)  an illegal memory access was encountered",
         "gpu-memory-access", ""),
        ("im2col.cu:61] Check failed: error == cudaSuccess (8 vs. 0)  invalid device function", "gpu-architecture", ""),
        ("common.cpp:152] Check failed: error == cudaSuccess (10 vs. 0)  invalid device ordinal", "gpu-not-available", "10"),
        ("cudnn_conv_layer.cpp:52] Check failed: status == CUDNN_STATUS_SUCCESS (4 vs. 0)  CUDNN_STATUS_INTERNAL_ERROR",
         "cudnn-error", "4"),
        ("io.cpp:36] Check failed: fd != -1 (-1 vs. -1) File not found: nets/train.prototxt", "file-missing", "nets/train.prototxt"),
        ("net.cpp:779] Check failed: file_hid >= 0 (-1 vs. 0) Couldn't open vgg.caffemodel.h5", "file-missing", "vgg.caffemodel.h5"),
        ("hdf5_data_layer.cpp:74] Check failed: num_files_ >= 1 (0 vs. 1) Must have at least 1 HDF5 filename listed in l.txt",
         "empty-source", ""),
        ("hdf5.cpp:14] Check failed: H5LTfind_dataset(file_id, dataset_name_) Failed to find HDF5 dataset label2",
         "hdf5-dataset-mismatch", "label2"),
        ("multibox_loss_layer.cpp:133] Check failed: num_priors_ * num_classes_ == bottom[1]->channels() (183372 vs. 17464) Number of "
         "priors must match number of confidence predictions.", "shape-mismatch", "183372 and 17464"),
        ("blob.cpp:32] Check failed: shape[i] >= 0 (-3 vs. 0)", "empty-output", "-3"),
        ("insert_splits.cpp:35] Unknown blob input feat to layer 3", "unknown-bottom", "'feat'"),
        ("layer_factory.cpp:80] Unknown layer name: Own", "unknown-layer-type", "'Own'"),
        ("conv_layer.cpp:18] Check failed: bottom.size() == 1 (2 vs. 1) Conv Layer takes a single blob as input.", "blob-count-mismatch",
         "2"),
        ("detection_output_layer.cpp:52] Check failed: ReadProtoFromTextFile(label_map_file_, &label_map_) Failed to read label map file.",
         "label-map-missing", ""),
        ("annotated_data_layer.cpp:9] Check failed: infile.good() Failed to open file: data/sizes.txt", "file-missing", "data/sizes.txt"),
        ("upgrade_proto.cpp:95] Check failed: ReadProtoFromBinaryFile(param_file, param) Failed to parse NetParameter file: "
         "a_iter_5.solverstate", "wrong-weights-file", "a_iter_5.solverstate"),
        ("upgrade_proto.cpp:95] Check failed: ReadProtoFromBinaryFile(param_file, param) Failed to parse NetParameter file: "
         "a.caffemodel", "unreadable-weights", "a.caffemodel"),
        ("upgrade_proto.cpp:88] Check failed: ReadProtoFromTextFile(param_file, param) Failed to parse NetParameter file: "
         "a.caffemodel", "wrong-model-file", "a.caffemodel"),
    ],
)  # fmt: skip
def test_a_check_is_explained_with_its_own_numbers(check: str, cause: str, words: str) -> None:
    found = first(f"{BUILDING}{F}{check} \n")
    assert found.cause.cause == cause
    assert words in found.cause.message
    assert found.cause.help


@pytest.mark.parametrize(
    ("said", "cause", "words"),
    [
        ('7:12: Message type "caffe.LayerParameter" has no field named "bn_param".', "unknown-field", "7:12"),
        ('3:9: Non-repeated field "base_lr" is specified multiple times.', "duplicate-field", "base_lr"),
        ('60:5: Unknown enumeration value of "FFT" for field "engine".', "unknown-enum-value", "FFT"),
        ("9:3: Expected integer, got: x", "wrong-type", "9:3"),
        ('2:1: Expected identifier, got: }', "syntax-error", "2:1"),
    ],
)
@pytest.mark.parametrize("alone", [False, True])
def test_a_message_of_protobuf_is_the_cause(said: str, cause: str, words: str, alone: bool) -> None:
    line = f"[libprotobuf ERROR google/protobuf/text_format.cc:245] Error parsing text-format caffe.NetParameter: {said}\n"
    end = f"{F}upgrade_proto.cpp:88] Check failed: ReadProtoFromTextFile(param_file, param) Failed to parse NetParameter file: n.prototxt\n"
    found = first(line if alone else line + end)
    assert (found.code, found.cause.cause) == ("T501", cause)
    assert words in found.cause.message


def test_a_refusal_that_nothing_marks_is_the_line_before_the_stack_trace() -> None:
    found = first("Unknown bottom blob 'fc9' (layer 'ip2', bottom index 0)\n*** Check failure stack trace: ***\n    @ 0x7 google::x()\n")
    assert (found.cause.cause, found.cause.layer, found.cause.blob) == ("unknown-bottom", "ip2", "fc9")


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        ("Floating point exception (core dumped)", "invalid-setting"), ("Illegal instruction (core dumped)", "cpu-architecture"),
        ("Bus error (core dumped)", "corrupt-data"), ("Aborted (core dumped)", "process-crash"), ("Killed", "out-of-memory"),
        ("Segmentation fault (core dumped)", "process-crash"), ("Terminated", "process-ended"),
        ("./train.sh: line 3: 22206 Killed                  caffe train -solver s.prototxt", "out-of-memory"),
        ("zsh: killed     caffe train", "out-of-memory"), ("[1]+  Killed                  caffe train", "out-of-memory"),
        ("*** Aborted at 15 (unix time) ***\n*** SIGBUS (@0x7ee) received by PID 3; stack trace: ***", "corrupt-data"),
        ("*** Aborted at 15 (unix time) ***\n*** SIGFPE (@0x7ee) received by PID 3; stack trace: ***", "invalid-setting"),
        ("*** Aborted at 15 (unix time) ***\n*** SIGTERM (@0x7ee) received by PID 3; stack trace: ***", "process-ended"),
    ],
)  # fmt: skip
def test_what_the_shell_says_of_a_process_is_explained(end: str, cause: str) -> None:
    found = first(f"{BUILDING}{end}\n")
    assert (found.code, found.cause.cause) == ("T502", cause)


def test_an_exception_of_a_python_layer_is_quoted() -> None:
    found = first(
        f"{STEPS}Traceback (most recent call last):\n  File \"pairs.py\", line 31, in forward\nIndexError: list index out of range\n"
        "terminate called after throwing an instance of 'boost::python::error_already_set'\n"
    )
    assert found.cause.cause == "python-layer-error"
    assert "IndexError: list index out of range" in found.cause.message


def test_labels_are_suspected_only_where_memory_was_misused() -> None:
    assert "Labels out of range" in first(f"{STEPS}Segmentation fault (core dumped)\n").cause.reason
    assert "Labels" not in first(f"{STEPS}Aborted (core dumped)\n").cause.reason


RAISED = 'Traceback (most recent call last):\n  File "train.py", line 31, in <module>\nValueError: empty sequence\n'


def test_an_exception_that_ends_a_training_is_its_end() -> None:
    found = first(STEPS + RAISED)
    assert (found.code, found.cause.cause) == ("T501", "python-layer-error")
    assert "ValueError: empty sequence" in found.cause.message


@pytest.mark.parametrize(
    "text",
    [
        RAISED + STEPS, STEPS + RAISED.replace("ValueError: empty sequence", "KeyboardInterrupt"), "Killed\n" + STEPS,
        f"{STEPS}{INFO}solver.cpp:326] Optimization Done.\n{RAISED}", "Killed in Action, a data set\n" + STEPS,
    ],
)  # fmt: skip
def test_what_did_not_end_a_training_is_not_its_end(text: str) -> None:
    assert not {found.code for found in causes(text)} & {"T501", "T502"}


def test_an_end_says_by_itself_nothing_of_when_it_came() -> None:
    end = f"{F}softmax_loss_layer.cpp:71] Check failed: outer_num_ * inner_num_ == bottom[1]->count() (64 vs. 32) \n"
    reasons = [first(end + after).cause.reason for after in ("", "Aborted (core dumped)\n")]
    assert reasons[0] == reasons[1]
    assert "does not show when" in reasons[0]
    late = first(f"{INFO}sgd_solver.cpp:106] Iteration 4110, lr = 2e-05\n{end}")
    assert "after iteration 4110" in late.cause.reason
    assert late.cause.iteration == 4110


def test_a_rounding_error_of_ssd_is_no_setting() -> None:
    found = first(f"{STEPS}{F}math_functions.cpp:250] Check failed: a <= b (0 vs. -1.19209e-07) \n")
    assert "rounding error" in found.cause.message
    other = first(f"{STEPS}{F}math_functions.cpp:250] Check failed: a <= b (0.5 vs. 0.2) \n")
    assert "not allowed" in other.cause.message


def test_a_line_before_a_stack_trace_is_not_called_the_reason_if_nothing_says_so() -> None:
    found = first(f"{STEPS}speed: 0.512s / iter\n*** Check failure stack trace: ***\n")
    assert found.cause.message == "Caffe stopped, and the line before the stack trace is: speed: 0.512s / iter"


def test_an_unknown_check_is_shown_as_it_is() -> None:
    found = first(f"{F}own_layer.cpp:3] Check failed: beta > alpha (1 vs. 2) \n")
    assert found.cause.cause == "caffe-fatal-error"
    assert found.cause.message == "Caffe stopped at own_layer.cpp:3: Check failed: beta > alpha (1 vs. 2)"


def test_settings_and_the_machine_are_not_blamed_on_data() -> None:
    for check in ("sgd_solver.cpp:67] Unknown learning rate policy: Fixed", "x.cu:1] Check failed: error == cudaSuccess (2 vs. 0) x"):
        assert "look at" not in first(f"{STEPS}{F}{check}\n").cause.reason


@pytest.mark.parametrize("meaning", MEANINGS, ids=lambda meaning: f"{meaning.cause}: {meaning.what[:30]}")
def test_every_entry_is_written_in_full(meaning: object) -> None:
    texts = (meaning.what, meaning.why, meaning.help)  # type: ignore[attr-defined]
    assert all(texts)
    assert len(texts[0]) < 110
    assert all(text.endswith(".") for text in texts[1:])


@pytest.mark.parametrize("piece", ["Check failed: ", "Finetuning from x", "'", "channels == ", "(1 vs. 2) ", "Could not load x", "a "])
def test_a_message_of_any_form_is_searched_in_bounded_time(piece: str) -> None:
    # A pattern that is cubic in what is searched takes minutes.
    text = piece * (4 * LONGEST_TEXT // len(piece))
    explain(text, text, text, had_begun=True)


def test_every_refusal_of_the_real_caffe_is_explained() -> None:
    folder = SHARED / "oracle" / "broken"
    if not folder.exists():
        pytest.skip("this needs ../shared beside the checkout")
    unknown = []
    for path in sorted((*folder.glob("*.txt"), *(folder / "solvers").glob("*.txt"))):
        before = ""
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            before = line if "protobuf: " in line else before
            source, found, said = line.partition("] ")
            is_check = found and source.endswith(tuple("0123456789")) and "pp:" in source and "|" not in line
            if is_check and explain(before, f"{source.split(' ')[-1]} {said}", "", had_begun=False) is None:
                unknown.append(line)
    assert unknown == []
