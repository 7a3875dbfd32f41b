"""Makes `harness` importable by the tests, wherever pytest is started."""

import sys
from pathlib import Path

import caffe_lint.rules  # noqa: F401 - hands the registry what loads the rules

sys.path.insert(0, str(Path(__file__).parent))
