"""The options that several commands have, spelled and explained once, and their types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..rule.registry import all_rules, matching
from ..settings.settings import CONFIDENCES, PRESETS, SEVERITIES, ConfigError, input_shape

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

FILE = click.Path()  # shells complete it; whether it exists is asked where it is opened


def _rule_names() -> list[str]:
    return [name for code, rule in all_rules().items() for name in (code, rule.name)]


class Codes(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.3
    """Codes, prefixes and names of rules, separated by commas. Which there are is known when plugins are loaded."""

    name = "CODES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return tuple(part.strip() for part in str(value).split(",") if part.strip())

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(f"{before}{comma}{name}") for name in _rule_names() if name.startswith(last)]


class RuleNames(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A code, a prefix of codes or a name of rules, completed by shells."""

    name = "CODE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in _rule_names() if name.startswith(incomplete)]


def joined(groups: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """The selectors of an option that was given several times."""
    return tuple(selector for group in groups for selector in group)


def check_about(select: tuple[tuple[str, ...], ...], subject: str, what: str) -> None:
    """Raises click.UsageError where `--select` names no rule that looks at what a command is about."""
    mine = {code for code, rule in all_rules().items() if rule.subject == subject}
    if select and mine.isdisjoint(code for selector in joined(select) for code in matching(selector)):
        raise click.UsageError(f"--select {', '.join(joined(select))} names no rule that looks at {what}")


class InputShape(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """`TOP=N,C,H,W`: what the data of a top looks like."""

    name = "TOP=N,C,H,W"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, ...]]:
        try:
            return input_shape(str(value))
        except ConfigError as error:
            self.fail(str(error), param, ctx)


class Seconds(click.FloatRange):
    """A finite number in a range, which click's own type lets NaN be."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if number != number:
            self.fail(f"{value} is not in the range {self.min}<=x<={self.max}.", param, ctx)
        return number


def in_order(*options: Decorator) -> Decorator:
    """Several options as one decorator, in the order in which the help has them."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def output_format_option(formats: Iterable[str], default: str) -> Decorator:
    """The option `--output-format` with the formats of a command."""
    return click.option(
        "--output-format",
        type=click.Choice(list(formats)),
        default=default,
        show_default=True,
        help="The format of the report.",
    )


output_file_option = click.option(
    "--output-file", "-o", type=FILE, metavar="FILE", help="Write the output to this file; - is standard output."
)
color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="When to use colours; by default on a terminal.",
)
fail_on_option = click.option(
    "--fail-on", type=click.Choice(SEVERITIES), help="Lowest severity that sets exit status 1. [default: warning]"
)
exit_options = in_order(
    fail_on_option,
    click.option("--exit-zero", is_flag=True, help="Exit with status 0 even if there are findings."),
)
min_confidence_option = click.option(
    "--min-confidence", type=click.Choice(CONFIDENCES), help="Lowest confidence to report. [default: low]"
)
select_option = click.option(
    "--select", type=Codes(), multiple=True, help="Enable only these rules (codes, prefixes, names or ALL)."
)
extend_select_option = click.option("--extend-select", type=Codes(), multiple=True, help="Enable these rules as well.")
ignore_option = click.option("--ignore", type=Codes(), multiple=True, help="Disable these rules.")
preset_option = click.option(
    "--preset", type=click.Choice(list(PRESETS)), help="The base set of rules. [default: recommended]"
)
fix_option = click.option("--fix", is_flag=True, help="Patch the files.")
unsafe_fixes_option = click.option(
    "--unsafe-fixes", is_flag=True, help="With --fix: also apply fixes that change the net or rest on a guess."
)
diff_option = click.option("--diff", is_flag=True, help="Show the patch that --fix would apply; write nothing.")
baseline_option = click.option("--baseline", type=FILE, metavar="FILE", help="Hide the findings recorded in this file.")
jobs_option = click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    help="Number of processes; 0 is one per core if there is enough to do.  [default: 0]",
)
dialect_option = click.option(
    "--dialect", metavar="NAME", help="The Caffe that reads the files (bvlc, ssd, nvcaffe, …). [default: detected]"
)
caffe_version_option = click.option(
    "--caffe-version", metavar="VERSION", help="The Caffe release, such as 1.0 or 1.0-rc5."
)
proto_option = click.option(
    "--proto", type=FILE, metavar="FILE", help="Your own caffe.proto to read the files with (needs grpcio-tools)."
)
deploy_option = click.option(
    "--deploy",
    type=FILE,
    metavar="FILE",
    help="The deploy net, which uses the trained weights. [default: the one next to the training net]",
)
data_facts_option = click.option(
    "--data-facts",
    type=FILE,
    metavar="FILE",
    help="Facts about the data. [default: the nearest that are found upwards]",
)
input_shape_option = click.option(
    "--input-shape",
    type=InputShape(),
    multiple=True,
    help="Shape of a data top that the file does not give; 0 keeps a size of the file, * is any top.",
)
config_options = in_order(
    click.option(
        "--config",
        type=FILE,
        metavar="FILE",
        help="The configuration to use. [default: nearest upwards from each file]",
    ),
    click.option("--isolated", is_flag=True, help="Ignore all configuration files."),
)
# Where a training starts.
simulate_option = click.option(
    "--simulate", is_flag=True, help="Simulate trainings, and try fixes before they are offered (needs numpy)."
)
weights_options = in_order(
    click.option("--from-scratch", is_flag=True, help="No trained weights are loaded: fillers make them."),
    click.option(
        "--weights",
        type=FILE,
        metavar="FILE",
        help="The .caffemodel that the training starts from (needs numpy).",
    ),
    click.option(
        "--gpus", type=click.IntRange(1, 10_000), metavar="N", help="Number of GPUs, each with its own batch."
    ),
)
# What a prediction of a training rests on, apart from the files.
training_options = in_order(dialect_option, data_facts_option, input_shape_option, weights_options)


def output_dir_option(*short: str, required: bool = False) -> Decorator:
    """The option `--output-dir`, with a short form or none."""
    return click.option(
        "--output-dir",
        *short,
        type=FILE,
        metavar="DIR",
        required=required,
        help="Write new files to this folder, and keep the originals (of checks and logs: with --fix).",
    )


def report_options(formats: Iterable[str], default: str) -> Decorator:
    """The options of reports on findings: their format, where they go, and colours."""
    return in_order(output_format_option(formats, default), output_file_option, color_option)


def report_file(output_file: str | None) -> str | None:
    """The file of `--output-file`, None for standard output."""
    return None if output_file == "-" else output_file


def check_weights(from_scratch: bool, weights: str | None) -> None:
    """Raises click.UsageError if both are given."""
    if from_scratch and weights is not None:
        raise click.UsageError("--from-scratch and --weights contradict each other")
