"""How certain a rule's findings are, apart from their severity: the default, and the confidence of each of our rules.

A rule is `high` if its claim follows from the text of the files or from data that was read, or if at least 90 % of its
findings were right. That was measured on findings read by hand (`benchmarks/verdicts.tsv`, where a finding that does no
harm counts as right), or on the verdict for families of trainings that it had not seen (`benchmarks/verdict.py`). A
rule is `low` if it only gives a hint. All others are `medium`.
"""

from __future__ import annotations

DEFAULT = "medium"

# By code or prefix of codes; the longest match applies.
_KNOWN = {
    # Caffe rejects these: of 297 files that the real Caffe rejects, 293 have an error, and none of those that it accepts
    # (benchmarks/oracle_findings.py).
    "E": "high",
    "E110": "medium",  # of 20 that were read, 19 are for the author's own Caffe
    "E112": "medium",  # of 20 that were read, all are for the author's own Caffe or program
    "E115": "medium",  # the Caffe of the file is detected
    "E116": "medium",  # of 20 that were read, 19 are the author's own layers
    "E121": "medium",  # of 16 that were read, 4 are written by a script
    "E122": "medium",
    "E219": "medium",  # it is unknown how Caffe was built
    "N": "high",
    "N208": "medium",
    "N403": "medium",  # two sources with different names may be the same
    "N405": "medium",  # weights may be loaded
    "N406": "medium",  # guesses the intention
    "N407": "medium",  # of 2 that were read, 1 is wrong
    "N503": "medium",
    "N602": "medium",
    "N705": "medium",
    "S": "high",
    "S144": "medium",
    "G": "medium",  # findings that the verdict is certain of have their own confidence
    "G110": "low",  # depends on unknown labels
    "D": "high",
    "D105": "medium",
    "D109": "medium",
    "D116": "medium",  # judged by the name only
    "D121": "medium",
    "D122": "low",  # the list may be in random order
    "P": "high",
    "P302": "medium",
}


def confidence_of(code: str) -> str:
    """Return the default confidence of one of our rules."""
    ends = range(len(code), 0, -1)
    return next((_KNOWN[code[:end]] for end in ends if code[:end] in _KNOWN), DEFAULT)
