"""The promises of docs/security.md, each of which names a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

from caffe_lint.settings.config_file import KEYS

CHECKOUT = Path(__file__).parent.parent


def test_each_promise_names_a_test() -> None:
    page = (CHECKOUT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| what holds")]
    named = [match for row in rows if (match := re.search(r"\| `(test_\w+\.py)::(test_\w+)` \|$", row))]
    assert len(named) == len(rows) >= 20
    for match in named:
        text = (CHECKOUT / "tests" / match[1]).read_text(encoding="utf-8")
        assert f"\ndef {match[2]}(" in text, match[0]


def test_no_configuration_names_a_caffe_proto() -> None:
    assert not [key for key in KEYS if "proto" in key or "command" in key or "output" in key]
