"""Fingerprints, by which services recognize known findings even if lines have moved."""

from __future__ import annotations

import re
from collections import Counter
from hashlib import sha256

from ..rule.finding import Finding
from .repository import named

_NUMBERS = re.compile(r"('[^']*')|\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def fingerprints(findings: list[Finding], base: str) -> list[str]:
    """Return a unique fingerprint for each finding.

    It depends on the rule, the path from `base`, the text of the line, and the message without its numbers, which may
    change with other parts of the net; numbers in names are kept. Otherwise equal findings are numbered in order.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    prints = []
    for finding in findings:
        message = _NUMBERS.sub(lambda match: match[1] or "#", finding.message)
        parts = (finding.code, named(base, finding.place.path), finding.line_text.strip(), message)
        text = "\0".join((*parts, str(seen[parts])))
        seen[parts] += 1
        prints.append(sha256(text.encode("utf-8", "surrogateescape")).hexdigest())
    return prints
