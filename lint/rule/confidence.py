"""How sure a rule is of what it finds, apart from how bad that is: by default, and for each rule of ours.

A rule is `high` where its claim follows from the text of the files alone, or from data that were looked into, or where
at least 90 % of its findings were right: those that were read by hand (`benchmarks/verdicts.tsv`, where a finding that
does no harm is right), or those of the verdict on families of trainings that it had not seen (`benchmarks/verdict.py`).
It is `low` where it gives a hint. All others are `medium`.
"""

from __future__ import annotations

DEFAULT = "medium"

# By codes or beginnings of codes; the longest that fits counts.
_KNOWN = {
    # Caffe refuses it: of 297 refusals by the real Caffe 293 are found, and no error in what it builds
    # (benchmarks/oracle_findings.py).
    "E": "high",
    "E110": "medium",  # of 20 read, 19 are for a Caffe of the author's own
    "E112": "medium",  # of 20 read, all
    "E115": "medium",  # which Caffe reads the file is found out
    "E116": "medium",  # of 20 read, 19 are layers of the author's own
    "E121": "medium",  # of 16 read, 4 are made by a script
    "E122": "medium",
    "E219": "medium",  # how Caffe was built is not known
    "N": "high",
    "N208": "medium",
    "N403": "medium",  # two sources of different names may be one
    "N405": "medium",  # weights may be loaded from elsewhere
    "N406": "medium",  # a guess at what is meant
    "N407": "medium",  # of 2 read, 1 is wrong
    "N503": "medium",
    "N602": "medium",
    "N705": "medium",
    "S": "high",
    "S144": "medium",
    "G": "medium",  # what the verdict is sure of says so itself
    "G110": "low",  # depends on labels that are not known
    "D": "high",
    "D105": "medium",
    "D109": "medium",
    "D116": "medium",  # by its name only
    "D121": "medium",
    "D122": "low",  # the list may be in random order
    "P": "high",
    "P302": "medium",
}


def confidence_of(code: str) -> str:
    """The confidence of one of our rules by default."""
    ends = range(len(code), 0, -1)
    return next((_KNOWN[code[:end]] for end in ends if code[:end] in _KNOWN), DEFAULT)
