"""Which findings explain others: one mistake often makes several rules speak, and people need to read of it once.

This is the only place that says so. An explained finding remains a finding: it counts, and its fix is applied. Reports for
people show it beneath its cause; for programs it names its cause (`caused_by`).
"""

from __future__ import annotations

from ..proto.named_tuple import NamedTuple

# How near the cause an explained finding is.
MESSAGE = "message"  # inside the message that the cause names
LAYER = "layer"  # in the same layer
TYPE = "type"  # in a layer of the type that the cause names
SETTINGS = "settings"  # in a `*_param` of such a layer
READERS = "readers"  # in a layer that reads a top of the cause's layer
FILE = "file"
JOB = "job"  # in the same solver or one of its nets


class Explanation(NamedTuple):
    """Findings of the rules `causes` explain those of the rules `effects` that are as near as `where` says."""

    causes: tuple[str, ...]
    effects: tuple[str, ...]
    where: str


_ADVICE_ON_STABILITY = ("G101", "G102", "G103", "G107", "G108")

# Advice that concerns most solvers rather than one: people read of it once, at the end.
ON_ALL_JOBS = frozenset({"G101"})

# For a finding, the first entry that finds a cause applies. No rule may explain itself through others. In another layer, a cause
# explains nothing that is more severe than it, and in a job nothing that concerns another job as well.
EXPLANATIONS = (
    # Of a layer type that is unknown or wrong, the settings are unknown, and they and the numbers of blobs do not fit.
    Explanation(("E115", "E116"), ("E110", "E111", "E112"), SETTINGS),
    Explanation(("E115", "E116"), ("E204", "E208", "E209", "E210", "E211", "E213", "N303", "N304"), TYPE),
    # A layer with the settings of another type is meant to be of that type, and its tops to have its shapes.
    Explanation(("E222",), ("E204", "E208", "E209", "E210", "N303", "N304"), LAYER),
    Explanation(("E222",), ("E205", "E206", "E207"), READERS),
    # In a message that is unknown, or belongs to another Caffe, the fields are as well.
    Explanation(("E110", "E115"), ("E111", "E112", "E114"), MESSAGE),
    # A setting whose name is misspelled is missing.
    Explanation(("E110", "E111"), ("E114", "E208"), LAYER),
    # A bottom that is not there is one too many.
    Explanation(("E201",), ("E204",), LAYER),
    # A layer that ignores what would give its tops a shape has none to give, and its readers get a scalar.
    Explanation(("N304",), ("E210",), LAYER),
    Explanation(("E210",), ("E205", "E206", "E207"), READERS),
    # A net in both formats often has the same layers twice, or parts of two nets.
    Explanation(("E117",), ("E202", "N203", "N303"), FILE),
    # Nothing can be said of the nets of a solver that are not there.
    Explanation(("E121", "E122", "E123"), ("S101", "S102", "S103", "S105", "G101"), FILE),
    Explanation(("E218",), ("N203",), FILE),
    # A test net in phase TRAIN reads the training data.
    Explanation(("N409",), ("N403",), FILE),
    Explanation(("N202",), ("N203", "N204"), FILE),
    # A list or a database that cannot be read as it is gives wrong items, labels and shapes; labels that are no whole numbers are
    # no classes, and NaN is in no range.
    Explanation(("D102",), ("D101", "D104"), LAYER),
    Explanation(("D106",), ("D101", "D108", "D112", "D114"), LAYER),
    Explanation(("D104",), ("D110", "D113", "D114"), LAYER),
    Explanation(("D108",), ("D107", "D119"), LAYER),
    Explanation(("D103",), ("D107", "D118"), LAYER),
    # Where the data, the statistics or the update are broken, or nothing is trained, no rate and no clipping helps.
    Explanation(("D103", "N204", "N405", "S125"), _ADVICE_ON_STABILITY, JOB),
    # What gets no gradient does not learn.
    Explanation(("N703",), ("G108",), JOB),
    # The causes of one predicted course: its repair changes initial weights before loss weights, and these before the rate.
    Explanation(("G106",), ("G101", "G102", "G108"), JOB),
    Explanation(("G113",), ("G101", "G102", "G103", "G106"), JOB),
    Explanation(("G103",), ("G101", "G102"), JOB),
    Explanation(("G102",), ("G101",), JOB),
)
