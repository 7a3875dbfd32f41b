"""The nets beside the one that a solver trains: its deploy net, or the training net that was meant instead of a test net."""

from __future__ import annotations

import os
import re
from collections.abc import Container

from ..source.questions import question

# What distinguishes the file of a training net from that of its deploy net, in the names of public nets.
_TRAINING = re.compile(r"train_?(val|test)|trainval|train", re.IGNORECASE)
# What a net for tests or deployment is called instead.
_TESTING = re.compile(r"(?<![a-z])(test|val|deploy|inference)(?![a-z])", re.IGNORECASE)


@question
def deploy_beside(path: str, given: Container[str] = ()) -> str | None:
    """The path of the deploy net that belongs to the file of a training net, None if there is none.

    It is in the same folder and has the same name with `deploy` instead of `train_val` or the like, or is `deploy.prototxt`.
    `given` are paths of files that exist only in memory.
    """
    folder, name = os.path.split(path)
    for candidate in (_TRAINING.sub("deploy", name, count=1), "deploy.prototxt", "deploy.pt"):
        other = os.path.join(folder, candidate)
        if candidate != name and (other in given or os.path.isfile(other)):
            return other
    return None


@question
def training_beside(path: str, given: Container[str] = ()) -> str | None:
    """The path of the training net beside a file that is called a net for tests or deployment, None if there is none.

    It is in the same folder and has the same name with `train` or `train_val` instead of `test` or the like.
    """
    folder, name = os.path.split(path)
    if _TRAINING.search(name) or not _TESTING.search(name):
        return None
    for training in ("train", "train_val"):
        other = os.path.join(folder, _TESTING.sub(training, name, count=1))
        if other in given or os.path.isfile(other):
            return other
    return None
