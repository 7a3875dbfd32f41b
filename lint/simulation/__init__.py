"""Training a net for a few steps, with numpy, to see what becomes of it. Needs the extra `simulate`.

Linear algebra uses one thread, so that the same files give the same answer on machines of any size. numpy reads that when it is
loaded, so it stands here, before anything imports it.
"""

from __future__ import annotations

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
