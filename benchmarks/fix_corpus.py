"""What `--fix` does to real files: it patches copies of the corpus, and what came out is judged from outside.

    python benchmarks/fix_corpus.py [--unsafe-fixes] [--each] [--only REPOSITORY] [--numbers FILE] [--corpus ../shared/corpus]

The program runs on each repository as a folder, or with --each on each file by its name, every time on a
fresh copy. Then: a file that protoc could read can still be read by it, and its message differs in the fields
that the fixes are there for and in no other; no comment is lost; a second `--fix` changes no byte; files that
needed nothing keep their bytes, time stamps and inodes; nothing is left lying about. Each failure is printed;
the exit status is 1 if there is one. It also counts in how many files base_lr, momentum, clip_gradients or a loss_weight is
inserted or changed; `--numbers` writes them to a file, one a line. Needs grpcio-tools, which brings protoc.
"""

from __future__ import annotations

import argparse
import atexit
import difflib
import json
import os
import re
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatch
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import Message
from grpc_tools import protoc

from caffe_lint.cli.main import main as caffe_lint
from caffe_lint.proto import caffe_pb2
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.source.files import SUFFIXES, SourceFile

A_LONG_TIME_AGO = 1_000_000_000 * 10**9  # a time stamp that no file written today gets by itself
MESSAGES = {"solver": "SolverParameter", "net": "NetParameter"}

# What the fixes of a rule may change in a message that protoc can read, as shell patterns of paths. A fix of any
# other rule may change nothing there. A layer put in or taken out shows as `layer`, one that reads another blob as
# `layer.bottom`. What holds for `layer` holds for `layers` of older nets.
BLOBS = ("layer.bottom", "layer.top")
FIELDS: dict[str, tuple[str, ...]] = {
    "D116": ("layer.data_param.backend", "layer.*_param.source"),
    "D117": ("test_iter",),
    "D121": ("layer.transform_param.mean_value",),
    "D122": ("layer.image_data_param.shuffle",),
    "E117": ("layer", "layers"),
    "E116": ("layer.type",),
    "E201": (*BLOBS, "layer"),
    "E202": BLOBS,
    "E203": BLOBS,
    "E210": ("layer.transform_param",),
    "E211": ("layer.param.lr_mult", "layer.param"),
    "E213": ("layer.*_filler.type",),
    "G101": ("clip_gradients",),
    "G102": ("base_lr", "clip_gradients", "layer.loss_weight"),
    "G103": ("layer.loss_weight",),
    # Behind a BatchNorm that it puts in, the bias before that is N502's.
    "G104": ("layer", "layer.bottom", "layer.param", "layer.convolution_param.bias_*"),
    "G105": ("layer", "layer.bottom"),
    "G106": ("layer.*_filler*",),
    "G107": ("layer.transform_param*",),
    "G108": ("base_lr",),
    "G110": ("layer.loss_param.normalize",),
    "N111": BLOBS,
    "N112": BLOBS,
    "N113": BLOBS,
    # With a loss that counts the net learns, and rules for what learns (N405, N501) have their say in the next round.
    "N202": ("layer.loss_weight", "layer", "layer.batch_norm_param.use_global_stats"),
    "N205": ("layer.*_param.weight_filler", "layer.*_param.weight_filler.*"),
    "N207": ("layer.bottom",),
    "N209": ("layer.type",),
    "N401": ("layer.name",),
    "N303": ("layer",),
    "N402": ("layer.transform_param", "layer.transform_param.scale", "layer.transform_param.mean_*"),
    "N404": ("layer.batch_norm_param.use_global_stats", "layer.batch_norm_param"),
    "N405": ("layer.batch_norm_param.use_global_stats", "layer.batch_norm_param"),
    "N406": ("train_state.stage", "test_state.stage"),
    "N409": ("state.phase",),
    "N501": ("layer", "layer.scale_param", "layer.scale_param.bias_term"),
    "N502": ("layer.param", "layer.*_param.bias_term", "layer.*_param.bias_filler"),
    "N504": (
        "layer.convolution_param.weight_filler", "layer.convolution_param.weight_filler.*",
        "layer.convolution_param.group", "layer.convolution_param.bias_*", "layer.param",
    ),
    "N601": ("layer.*_param.num_output",),
    "N701": ("layer.param",),
    "N702": ("layer.batch_norm_param.use_global_stats", "layer.batch_norm_param"),
    "N704": ("layer",),
    "S108": ("average_loss",),
    "S110": ("snapshot_prefix",),
    "S121": ("lr_policy",),
    "S122": ("gamma", "power", "stepsize", "lr_policy"),
    "S126": ("stepvalue",),
    "S129": ("gamma",),
    "S131": ("type",),
    "S132": ("solver_type",),
    "S134": ("momentum",),
    "S136": ("momentum",),
    "S137": ("regularization_type",),
    "S141": ("snapshot_after_train",),
    "S142": ("display",),
    "S143": ("debug_info",),
}


class State(NamedTuple):
    """A file as it lies on the disk."""

    content: bytes
    mode: int
    inode: int
    time: int


# The fields of solvers that decide how large a step is. Those of layers are their `loss_weight`.
STEP_FIELDS = ("base_lr", "momentum", "weight_decay", "clip_gradients")


class Number(NamedTuple):
    """A number that decides how large a step is, which a fix wrote: `old` is None if it was not there."""

    path: str
    field: str
    old: Any
    new: Any

    @property
    def how(self) -> str:
        """What happened to the field, as a count."""
        return f"{'inserted' if self.old is None else 'changed'} {self.field.partition(' ')[0]}"


class Result(NamedTuple):
    """What became of a repository: counts by what is counted, changed fields by path, numbers, failures in words."""

    counts: Counter[str]
    fields: Counter[str]
    numbers: list[Number]
    failures: list[str]


def patch_repository(source: Path, unsafe: bool, each: bool) -> Result:
    """Patches a copy of a repository, as a whole or file by file, and judges what came out."""
    result = Result(Counter(repositories=1), Counter(), [], [])
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, source.name)
        shutil.copytree(source, copy, copy_function=_copy)
        (copy / ".git").mkdir()  # by this the linter knows the root of a repository
        os.chdir(copy)
        before = _states()
        kinds = {path: _kind(path, state.content) for path, state in before.items()}
        result.counts.update(f"{kind} files" for kind in kinds.values())
        for target in [path for path, kind in kinds.items() if kind != "other"] if each else ["."]:
            for failure in _patch(target, before, kinds, unsafe, result):
                result.failures.append(f"{source.name}: {failure}")
            for path, state in before.items():
                if each and Path(path).read_bytes() != state.content:
                    Path(path).write_bytes(state.content)
                    os.utime(path, ns=(state.time, state.time))
            before = _states() if each else before
        os.chdir(folder)
    return result


def _copy(source: str, copy: str) -> None:
    shutil.copyfile(source, copy)
    os.chmod(copy, 0o640)
    os.utime(copy, ns=(A_LONG_TIME_AGO, A_LONG_TIME_AGO))


def _states() -> dict[str, State]:
    """Every file below the working directory."""
    states: dict[str, State] = {}
    for path in sorted(Path().rglob("*")):
        if path.is_file():
            status = path.stat()
            states[str(path)] = State(path.read_bytes(), status.st_mode, status.st_ino, status.st_mtime_ns)
    return states


def _kind(path: str, content: bytes) -> str:
    if not path.endswith(SUFFIXES):
        return "other"
    return SourceFile(path, content, caffe_schema(), None).kind


def _patch(target: str, before: dict[str, State], kinds: dict[str, str], unsafe: bool, result: Result) -> Iterator[str]:
    """Runs the linter with `--fix`, twice, and yields what went wrong."""
    options = ["--isolated", target, *(["--unsafe-fixes"] if unsafe else [])]
    status, output, errors = run(["--output-format", "json", *options])
    if status not in (0, 1):
        yield f"{target}: status {status} without --fix: {errors.strip()}"
        return
    codes: dict[str, set[str]] = {}
    for finding in json.loads(output)["findings"]:
        if finding["fix"] and (unsafe or finding["fix"]["safe"]):
            codes.setdefault(os.path.normpath(finding["fix"]["path"]), set()).add(finding["code"])
    if _states() != before:
        yield f"{target}: files changed without --fix"
    status, _, errors = run(["--fix", *options])
    if status not in (0, 1):
        yield f"{target}: status {status}: {errors.strip()}"
    after = _states()
    if after.keys() != before.keys():
        yield f"{target}: files came or went: {sorted(after.keys() ^ before.keys())}"
    result.counts["runs"] += 1
    for path in before.keys() & after.keys():
        if after[path].content != before[path].content:
            result.counts["patched files"] += 1
            failures = list(_judge(kinds[path], before[path], after[path], codes.get(path, set()), result))
            name = f"{Path.cwd().name}/{path}"
            result.numbers.extend(_numbers(name, kinds[path], before[path].content, after[path].content))
            yield from (f"{path}: {failure}" for failure in failures)
        elif after[path] != before[path]:
            yield f"{path}: the same bytes, but mode, inode or time changed"
    run(["--fix", *options])
    again = _states()
    for path in again:
        if again[path] != after.get(path):
            yield f"{path}: the second --fix changed it"


def run(arguments: list[str]) -> tuple[int, str, str]:
    """Runs the program in a process of its own: status, output, errors. A traceback counts as status 70."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            atexit._clear()  # the program runs what is registered here at its end: the temporary folder would go
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            sys.argv = ["caffe-lint", *arguments]
            status: Any = 0
            try:
                caffe_lint()
            except SystemExit as stop:
                status = stop.code or 0
            except BaseException:
                traceback.print_exc()
                status = 70
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for stream in (output, errors):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
        return status, texts[0], texts[1]


def _judge(kind: str, old: State, new: State, codes: set[str], result: Result) -> Iterator[str]:
    """What is wrong with a patched file."""
    if new.mode != old.mode:
        yield "its mode changed"
    lost = comments(old.content) - comments(new.content)
    if lost:
        yield f"comments are lost: {[text.decode('utf-8', 'replace') for text in lost]}"
    if kind == "other":
        yield "it is neither a solver nor a net, and was patched"
        return
    message, patched = encoded(kind, old.content), encoded(kind, new.content)
    result.counts["patched files that protoc could read before"] += message is not None
    result.counts["patched files that protoc can read after"] += patched is not None
    if message is None:
        return
    if patched is None:
        yield "protoc could read it before and cannot now"
        return
    allowed = [pattern for code in codes for pattern in FIELDS.get(code, ())]
    message_class = getattr(caffe_pb2, MESSAGES[kind])
    for path in sorted(set(differences(message_class.FromString(message), message_class.FromString(patched)))):
        result.fields[path] += 1
        today = re.sub(r"^layers\b", "layer", path)
        if not any(fnmatch(today, pattern) for pattern in allowed):
            yield f"{path} differs, which fixes of {', '.join(sorted(codes)) or 'no rule'} may not change"


def _numbers(name: str, kind: str, old: bytes, new: bytes) -> Iterator[Number]:
    """The numbers that fixes wrote into a file that protoc can read before and after."""
    texts = [encoded(kind, source) for source in (old, new)]
    if kind not in MESSAGES or None in texts:
        return
    before, after = (getattr(caffe_pb2, MESSAGES[kind]).FromString(text) for text in texts)
    if kind == "solver":
        for field in STEP_FIELDS:
            was, now = (getattr(each, field) if each.HasField(field) else None for each in (before, after))
            if was != now:
                yield Number(name, field, was, now)
        return
    old_weights, new_weights = (
        {layer.name: list(layer.loss_weight) for layer in (*each.layer, *each.layers)} for each in (before, after)
    )
    for layer, weights in new_weights.items():
        written = old_weights.get(layer, weights)
        if written != weights:
            yield Number(name, f"loss_weight of '{layer}'", written or None, weights)


def comments(source: bytes) -> Counter[bytes]:
    """The comments of a text, each as often as it stands there. A string ends with its line at the latest."""
    tokens = re.finditer(rb"""\"(?:\\[^\n]|[^\"\\\n])*|'(?:\\[^\n]|[^'\\\n])*|(#[^\n]*)""", source)
    return Counter(token[1].rstrip() for token in tokens if token[1])


def encoded(kind: str, source: bytes) -> bytes | None:
    """The binary message that protoc, the parser that Caffe uses, makes of a text; None if it refuses it."""
    schema = resources.files("caffe_lint.proto") / "caffe.binpb"
    with (
        resources.as_file(schema) as path,
        tempfile.TemporaryFile() as text,
        tempfile.TemporaryFile() as binary,
    ):
        text.write(source)
        text.seek(0)
        with open(os.devnull, "wb") as nowhere:
            kept = [os.dup(number) for number in range(3)]
            try:
                for number, stream in enumerate((text, binary, nowhere)):
                    os.dup2(stream.fileno(), number)
                arguments = [f"--descriptor_set_in={path}", f"--encode=caffe_lint.{MESSAGES[kind]}"]
                refused = protoc.main(["protoc", *arguments])
            finally:
                for number, descriptor in enumerate(kept):
                    os.dup2(descriptor, number)
                    os.close(descriptor)
        binary.seek(0)
        return None if refused else binary.read()


def differences(old: Message, new: Message, path: str = "") -> Iterator[str]:
    """Paths of the fields that differ. Of layers and the like, those are compared that belong together."""
    values: list[dict[str, Any]] = [
        {field.name: value for field, value in message.ListFields()} for message in (old, new)
    ]
    for name in values[0].keys() | values[1].keys():
        before, after = values[0].get(name), values[1].get(name)
        if before == after:
            continue
        if old.DESCRIPTOR.fields_by_name[name].message_type is None or before is None or after is None:
            yield path + name
        elif isinstance(before, Message):
            yield from differences(before, after, f"{path}{name}.")
        else:
            yield from _list_differences(list(before), list(after), path + name)


def _list_differences(old: list[Message], new: list[Message], path: str) -> Iterator[str]:
    """Messages belong together that are equal; between these, those of one name."""
    before = [message.SerializeToString(deterministic=True) for message in old]
    after = [message.SerializeToString(deterministic=True) for message in new]
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        named = {_name(message): message for message in old[a:b]}
        for message in new[c:d]:
            partner = named.pop(_name(message), None)
            if partner is None:
                yield path
            else:
                yield from differences(partner, message, f"{path}.")
        if named:
            yield path


def _name(message: Message) -> tuple[Any, ...]:
    """What a layer is known by: its name, and where it is for one phase only, that."""
    name = getattr(message, "name", "")
    return name, tuple(rule.phase for rule in getattr(message, "include", ()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--corpus", type=Path, default=root.parent / "shared" / "corpus", help="folder of real files")
    parser.add_argument("--unsafe-fixes", action="store_true", help="apply these too")
    parser.add_argument("--each", action="store_true", help="name every file by itself, instead of each repository")
    parser.add_argument("--numbers", type=Path, help="write to this file which numbers are inserted and changed")
    parser.add_argument("--only", action="append", help="only repositories with this in their name")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    arguments = parser.parse_args()
    if not (arguments.corpus / "files").is_dir():
        print(f"{arguments.corpus}/files is not there: nothing to patch")
        return 0
    repositories = sorted((arguments.corpus / "files").iterdir())
    if arguments.only:
        repositories = [path for path in repositories if any(part in path.name for part in arguments.only)]
    total = Result(Counter(), Counter(), [], [])
    with ProcessPoolExecutor(arguments.jobs) as pool:
        runs = [pool.submit(patch_repository, path, arguments.unsafe_fixes, arguments.each) for path in repositories]
        for run_ in runs:
            result = run_.result()
            total.counts.update(result.counts)
            total.fields.update(result.fields)
            total.numbers.extend(result.numbers)
            total.failures.extend(result.failures)
            for failure in result.failures:
                print("FAILED", failure, flush=True)
    for what, number in total.counts.items():
        print(f"{number:6} {what}")
    print("Fields that differ after fixing, in so many of the files that protoc could read before:")
    for path, number in total.fields.most_common():
        print(f"{number:6} {path}")
    print("Numbers that decide how large a step is, in so many files:")
    for how, number in Counter(each.how for each in total.numbers).most_common():
        print(f"{number:6} {how}")
    if arguments.numbers:
        lines = [f"{each.path}\t{each.how}\t{each.field}\t{each.old}\t{each.new}" for each in sorted(total.numbers, key=str)]
        arguments.numbers.write_text("\n".join(["file\thow\tfield\told\tnew", *lines]) + "\n", encoding="utf-8")
    print(f"{len(total.failures)} failures")
    return bool(total.failures)


if __name__ == "__main__":
    sys.exit(main())
