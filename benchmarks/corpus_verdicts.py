"""What is said of public trainings: of how many nothing can be told, by cause, and which are said to diverge or stall.

Run: python benchmarks/corpus_verdicts.py [-v] [../shared/corpus/files]

Public solvers were trained, so hardly any should be said to fail, and none with high confidence. A job counts if its solver
names a training net that is there. `-v` lists the jobs of each cause.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.net.job import Job, Nets, SolverFile
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.source.files import Unreadable
from caffe_lint.stability.computed import cannot_tell, stability_of
from caffe_lint.stability.verdict.verdict import confidence_in

NOT_COUNTED = ("no net", "rejected net", "rejected solver", "no loss", "no training")  # there is no training to judge


def jobs(root: Path, names: Sequence[str] | None = None) -> Iterator[tuple[str, Job]]:
    """The jobs of the solvers below a folder, or of those that are named."""
    for path in sorted(root.rglob("*")) if names is None else map(root.joinpath, names):
        if not (path.is_file() and "solver" in path.name.lower()):
            continue
        files = Files(caffe_schema(), None)
        try:
            file = files.get(str(path))
            if file.kind == "solver":
                yield str(path.relative_to(root)), Nets(files.get, None).job(SolverFile(file), str(root))
        except Unreadable:
            continue


def main() -> None:
    """Prints the figures."""
    arguments = [word for word in sys.argv[1:] if not word.startswith("-")]
    causes: dict[str, list[str]] = defaultdict(list)
    words: Counter[str] = Counter()
    called = []
    for name, job in jobs(Path(arguments[0] if arguments else "../shared/corpus/files")):
        unknown, known = cannot_tell(job), stability_of(job)
        if unknown is not None:
            causes[unknown.cause].append(f"{name}: {unknown.reason}")
            words["cannot tell"] += unknown.cause not in NOT_COUNTED
            continue
        assert known is not None
        verdict = known.verdict
        words[verdict.word] += 1
        if verdict.word != "learns":
            probability = verdict.p_diverges if verdict.word == "diverges" else verdict.p_stalls
            sure = f"  {confidence_in(probability, known.signal)} confidence"
            called.append(f"  {verdict.word} {probability:.2f} {name} ({known.basis.data} data){sure}")
    total = sum(words.values())
    print(f"{total} jobs with a training net: " + ", ".join(f"{word} {n} ({n / total:.0%})" for word, n in words.most_common()))
    for cause, names in sorted(causes.items(), key=lambda item: -len(item[1])):
        share = "not counted" if cause in NOT_COUNTED else f"{len(names) / total:.0%}"
        print(f"  cannot tell: {cause:18s} {len(names):4d}  {share}")
        if "-v" in sys.argv:
            print("\n".join(f"      {each}" for each in names))
    print("\n".join(called))


if __name__ == "__main__":
    main()
