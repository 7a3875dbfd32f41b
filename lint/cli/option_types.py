"""Types of options that several commands have: selectors of rules, shapes of inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ..rule.registry import all_rules, matching
from ..settings.settings import ConfigError, input_shape


class Codes(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.3
    """Codes, prefixes and names of rules, separated by commas. Which there are is known when plugins are loaded."""

    name = "CODES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


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


def input_shape_option(parameter: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option `--input-shape`, for that parameter of a command."""
    return click.option(
        "--input-shape",
        parameter,
        type=InputShape(),
        multiple=True,
        help="Shape of a data top that the file does not give; 0 keeps a size of the file, * is any top.",
    )


def weights_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say where a training starts: `--from-scratch`, `--weights` and `--gpus`."""
    for option in reversed((
        click.option("--from-scratch", is_flag=True, help="No trained weights are loaded: fillers make them."),
        click.option(
            "--weights",
            metavar="FILE",
            help="The .caffemodel that the training starts from. Its sizes are used (needs caffe-lint[data]).",
        ),
        click.option("--gpus", type=click.IntRange(1, 10_000), metavar="N", help="Number of GPUs, each with its own batch."),
    )):
        command = option(command)
    return command


def check_weights(from_scratch: bool, weights: str | None) -> None:
    """Raises click.UsageError if both are given."""
    if from_scratch and weights is not None:
        raise click.UsageError("--from-scratch and --weights contradict each other")
