"""The help of commands: their options under headings. Options of the same name mean the same in all commands."""

from __future__ import annotations

import re
import shutil
from typing import Any

import click

# The headings, and the options below each, whichever command has them. All others are the command's own and come first.
OPTION_GROUPS = {
    "Fixes": ("fix", "unsafe_fixes", "upgrade", "diff", "interactive", "output_dir", "add_ignore"),
    "Rules": ("preset", "select", "extend_select", "ignore", "min_confidence", "baseline", "write_baseline"),
    "Report": (
        "output_format", "output_file", "sort", "show_all", "statistics", "color",
        "csv", "json", "parquet", "plot", "log_output", "write_facts",
    ),
    "Exit status": ("fail_on", "exit_zero"),
    "Caffe, data and weights": (
        "dialect", "caffe_version", "proto", "no_repository_proto", "deploy", "data_facts", "input_shape",
        "from_scratch", "weights", "gpus",
    ),
    "Configuration": ("config", "isolated"),
    "Running": ("with_solvers", "watch", "jobs", "cache_dir", "no_cache", "stdin_filename"),
}  # fmt: skip
OWN = "Options"


_UNBROKEN = "\N{NON-BREAKING HYPHEN}"
_NARROWEST, _WIDEST = 24, 80  # columns


class _Formatter(click.HelpFormatter):
    """Breaks lines between words only; click also breaks them at hyphens, as in `caffe-lint.toml` and `--fix`.

    Lines fit terminals of any width, where click takes at least 50 columns, and the choices of an option are broken between two.
    """

    def __init__(self, indent_increment: int = 2, width: int | None = None, max_width: int | None = None) -> None:
        columns = width or shutil.get_terminal_size().columns
        super().__init__(indent_increment, max(_NARROWEST, min(columns, max_width or _WIDEST) - 2))

    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", _UNBROKEN))

    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
        texts = [(self._broken(term), text.replace("-", _UNBROKEN)) for term, text in rows]
        super().write_dl(texts, min(col_max, self.width // 4), col_spacing)

    def _broken(self, term: str) -> str:
        """A term of a list in as many lines as it takes, broken after `|`."""
        lines = [""]
        for piece in re.split(r"(?<=\|)", term):
            if lines[-1] and len(lines[-1]) + len(piece) > self.width - self.current_indent:
                lines.append(" " * (self.current_indent + 4))
            lines[-1] += piece
        return "\n".join(lines)

    def getvalue(self) -> str:
        return super().getvalue().replace(_UNBROKEN, "-")


class HelpContext(click.Context):
    """A context whose help breaks lines between words."""

    formatter_class = _Formatter


class GroupedCommand(click.Command):
    """A command whose help has its options under the headings of OPTION_GROUPS."""

    context_class = HelpContext

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections of the options."""
        for title, rows in sections(self, ctx).items():
            with formatter.section(title):
                formatter.write_dl(rows)


def sections(command: click.Command, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
    """Return the options of a command by heading, each with what it does."""
    titles = {name: title for title, names in OPTION_GROUPS.items() for name in names}
    found: dict[str, list[tuple[str, str]]] = {title: [] for title in (OWN, *OPTION_GROUPS)}
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None and isinstance(param, click.Option):
            found[titles.get(param.name or "", OWN)].append(record)
    return {title: rows for title, rows in found.items() if rows}
