"""Which net is used with the weights that another learns: the deploy net beside a training net."""

from __future__ import annotations

import os
import re
from collections.abc import Container

# What tells a training net's file from its deploy net's, in the names that public nets have.
_TRAINING = re.compile(r"train_?(val|test)|trainval|train", re.IGNORECASE)


def deploy_beside(path: str, given: Container[str] = ()) -> str | None:
    """The path of the deploy net that belongs to a training net's file, None if there is none.

    In the same folder: the same name with `deploy` in place of `train_val` or the like, else
    `deploy.prototxt`. `given` are paths of files that are not on the disk but known all the same.
    """
    folder, name = os.path.split(path)
    for candidate in (_TRAINING.sub("deploy", name, count=1), "deploy.prototxt", "deploy.pt"):
        other = os.path.join(folder, candidate)
        if candidate != name and (other in given or os.path.isfile(other)):
            return other
    return None
