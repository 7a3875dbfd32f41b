"""Findings, nets and curves as fragments of HTML, which notebooks show: no script, no style sheet, no address."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from ..rule.finding import Finding
from ..source.visible import visible

_COLOURS = {"error": "#c62828", "warning": "#b26a00", "advice": "#1565c0"}
_WIDTH, _HEIGHT, _MARGIN = 480, 140, 8
_LINES = ("#1565c0", "#c62828", "#2e7d32", "#6a1b9a", "#b26a00")


def findings_html(findings: Iterable[Finding], sentences: Iterable[str], remarks: Iterable[str]) -> str:
    """Return a table of findings, after some sentences in bold and before some remarks."""
    rows = [
        [
            f'<b style="color:{_COLOURS[finding.severity]}">{finding.severity}</b>',
            f"{finding.code} {_text(finding.name)}",
            _text(f"{finding.place.path}:{finding.place.line}"),
            _text(finding.message) + (f"<br><i>{_text(finding.reason)}</i>" if finding.reason else ""),
            "" if finding.fix is None else _text(finding.fix.title) + ("" if finding.fix.safe else " (unsafe)"),
        ]
        for finding in findings
    ]
    head = "".join(f"<p><b>{_text(sentence)}</b></p>" for sentence in sentences)
    tail = "".join(f"<p>{_text(remark)}</p>" for remark in remarks)
    table = table_html(("severity", "rule", "place", "finding", "fix"), rows) if rows else "<p>No findings.</p>"
    return head + table + tail


def table_html(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table; the cells of its rows are HTML."""
    cell = '<td style="text-align:left;vertical-align:top">'
    body = "".join("<tr>" + "".join(f"{cell}{text}</td>" for text in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{''.join(f'<th>{_text(name)}</th>' for name in head)}</tr></thead><tbody>{body}</tbody></table>"


def rows_html(head: Iterable[str], rows: Iterable[Iterable[object]], caption: str) -> str:
    """Return a table of plain texts and numbers below a caption; an unknown number is a question mark."""
    return f"<p><b>{_text(caption)}</b></p>" + table_html(head, ([_cell(value) for value in row] for row in rows))


def curves_html(curves: Sequence[tuple[str, Sequence[tuple[float, float]]]], caption: str) -> str:
    """Return named curves of pairs as a picture, empty if no point is finite; the scale is logarithmic if all values are positive."""
    points = [pair for _, curve in curves for pair in curve if math.isfinite(pair[1])]
    if not points:
        return ""
    low, high = min(y for _, y in points), max(y for _, y in points)
    scale = math.log10 if low > 0 and high > 20 * low else float
    bottom, top = scale(low), scale(high)
    left, right = min(x for x, _ in points), max(x for x, _ in points)

    def place(x: float, y: float) -> str:
        across = _MARGIN + (x - left) / (right - left or 1) * (_WIDTH - 2 * _MARGIN)
        down = _HEIGHT - _MARGIN - (scale(y) - bottom) / (top - bottom or 1) * (_HEIGHT - 2 * _MARGIN)
        return f"{across:.1f},{down:.1f}"

    lines = [
        f'<polyline fill="none" stroke="{_LINES[number % len(_LINES)]}" stroke-width="1.5" points="'
        + " ".join(place(x, y) for x, y in curve if math.isfinite(y))
        + f'"><title>{_text(name)}</title></polyline>'
        for number, (name, curve) in enumerate(curves)
    ]
    said = f"{caption}: {low:.4g} to {high:.4g}, iterations {left:g} to {right:g}"
    return (
        f'<p>{_text(said)}</p><svg role="img" aria-label="{_text(said)}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(lines)}</svg>'
    )


def _cell(value: object) -> str:
    if value is None:
        return "?"
    return f"{value:,}" if isinstance(value, int) else _text(f"{value:.4g}" if isinstance(value, float) else str(value))


def _text(text: str) -> str:
    return escape(visible(text))
