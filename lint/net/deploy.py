"""The deploy net beside a training net, which uses the weights that the training net learns."""

from __future__ import annotations

import os
import re
from collections.abc import Container

from ..source.questions import question

# What distinguishes the file of a training net from that of its deploy net, in the names of public nets.
_TRAINING = re.compile(r"train_?(val|test)|trainval|train", re.IGNORECASE)


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
