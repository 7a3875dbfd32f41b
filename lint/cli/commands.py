"""The command line. `caffe-lint FILE…` checks; the other commands stand below."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from ..report import FORMATS
from ..settings.settings import PRESETS, SEVERITIES, ConfigError, input_shape

# Commands that stand in a module of their own, which is loaded when they are called.
_ELSEWHERE = {
    "config": ".config_command",
    "explain": ".explain_command",
    "inputs": ".inputs_command",
    "log": ".log_command",
    "net": ".net_command",
    "probe": ".probe_command",
    "schedule": ".schedule_command",
    "signal": ".signal_command",
}


class _CheckByDefault(click.Group):
    """A group whose command `check` need not be named: `caffe-lint FILE…` is `caffe-lint check FILE…`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            args = ["check", "--help"]
        elif args[0] not in self.list_commands(ctx) and args[0] != "--version":
            args = ["check", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*self.commands, *_ELSEWHERE])

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in _ELSEWHERE:
            return getattr(import_module(_ELSEWHERE[name], __package__), name)  # type: ignore[no-any-return]
        return super().get_command(ctx, name)


@click.group(cls=_CheckByDefault, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="caffe-lint", prog_name="caffe-lint")
def cli() -> None:
    """Finds what will make a Caffe training diverge or stop, explains it, and patches the files."""


def run(arguments: list[str]) -> int:
    """Runs a command line and gives the exit status. Raises KeyboardInterrupt when click was interrupted."""
    try:
        return cli(arguments, standalone_mode=False) or 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        return 2


class Codes(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.3
    """Codes, prefixes and names of rules, separated by commas. Which there are is known when plugins are loaded."""

    name = "CODES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


def joined(groups: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """The selectors of an option that was given several times."""
    return tuple(selector for group in groups for selector in group)


def check_about(select: tuple[tuple[str, ...], ...], subject: str, what: str) -> None:
    """Raises UsageError where `--select` names no rule that looks at what a command is about."""
    from ..rule.registry import all_rules, matching

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


@cli.command(
    epilog="""Exit status: 0 nothing to report at the level that counts (--fail-on), 1 findings, 2 could not do its work.

    Other commands, each with a --help of its own:

    \b
      config FILE       print the settings in force for a file
      explain CODE      print the pages of rules
      inputs FILE       look into the data that nets name
      log LOG           say what went wrong in a training, by its log
      net FILE          print a net as Caffe would build it
      probe FILE        write a net that finds the batch with NaN or a bad label
      rules             list the rules
      schedule SOLVER   print the learning rate over the run
      signal SOLVER     compute values, gradients and updates of iteration 0
    """
)
@click.argument("paths", nargs=-1, metavar="FILE|FOLDER|-…")
@click.option("--fix", is_flag=True, help="Patch the files.")
@click.option("--unsafe-fixes", is_flag=True, help="Also fixes that change the architecture or rest on a guess.")
@click.option("--upgrade", is_flag=True, help="Write older forms in today's (--fix for P201 to P205 alone).")
@click.option("--diff", is_flag=True, help="Show the patch that --fix would make, write nothing.")
@click.option(
    "--add-ignore", is_flag=True, help="Write suppressions for what is found, instead of reporting it (--diff: show)."
)
@click.option("--output-dir", metavar="DIR", help="With --fix: write all checked files there, leave the originals.")
@click.option("--baseline", metavar="FILE", help="Leave out the findings that it knows.")
@click.option("--write-baseline", metavar="FILE", help="Write down what is found as known, instead of reporting it.")
@click.option("--preset", type=click.Choice(list(PRESETS)), help="The rules to begin with. [recommended]")
@click.option("--select", type=Codes(), multiple=True, help="Only these rules (codes, prefixes, names, ALL).")
@click.option("--extend-select", type=Codes(), multiple=True, help="These rules as well.")
@click.option("--ignore", type=Codes(), multiple=True, help="Not these rules.")
@click.option(
    "--output-format",
    type=click.Choice(FORMATS),
    default="full",
    show_default=True,
    help="How findings are shown.",
)
@click.option("--output-file", metavar="FILE", help="Write the report there instead of to standard output.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Least severity that makes the exit status 1. [warning]")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even if there are findings.")
@click.option("--statistics", is_flag=True, help="Count the findings of each rule instead of listing them.")
@click.option(
    "--dialect",
    metavar="NAME",
    help="The Caffe that will read the files (bvlc, ssd, nvcaffe, …); found out by default.",
)
@click.option(
    "--deploy",
    metavar="FILE",
    help="The net that is used with the weights; the one beside the training net by default.",
)
@click.option("--data-facts", metavar="FILE", help="What is known of the data. [caffe-lint.data.json, upwards]")
@click.option("--caffe-version", metavar="VERSION", help="The release of Caffe, such as 1.0 or 1.0-rc5.")
@click.option(
    "--proto",
    metavar="FILE",
    help="A caffe.proto of your own to read the files by (needs caffe-lint[proto]).",
)
@click.option(
    "--input-shape",
    type=InputShape(),
    multiple=True,
    help="The data's shape where the file leaves it open; 0: as it says, *: any.",
)
@click.option(
    "--config",
    metavar="FILE",
    help="The configuration to use, instead of the nearest upwards from each file.",
)
@click.option("--isolated", is_flag=True, help="Use no configuration file.")
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Processes; 0: one for each core.",
)
@click.option("--interactive", is_flag=True, help="Ask for each fix, with its patch, whether to take it.")
@click.option("--watch", is_flag=True, help="Check again when a file changes, until Ctrl-C (needs caffe-lint[watch]).")
@click.option("--stdin-filename", metavar="PATH", help="The path that standard input (-) stands for.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colours. [auto]")
def check(paths: tuple[str, ...], **options: Any) -> int:
    """Check solvers and nets: what Caffe would refuse, and what will make gradients explode or vanish.

    A solver is checked together with the nets it names. Below a folder, solvers and nets are found by what they say.
    """
    from ..settings.in_force import CommandLine
    from .check import Options
    from .check import check as run_check

    for name in ("select", "extend_select", "ignore"):
        options[name] = joined(options[name])
    if options.pop("upgrade"):
        options.update(_only_upgrades(options))
    settings = CommandLine(**{name: options.pop(name) for name in CommandLine._fields})
    return run_check(paths, Options(settings, **options))


def _only_upgrades(options: dict[str, Any]) -> dict[str, Any]:
    """The options that `--upgrade` stands for."""
    from ..rule.registry import all_rules
    from ..rules.portability.legacy import UPGRADES

    if options["select"] or options["extend_select"]:
        raise click.UsageError("--upgrade selects its rules itself: not together with --select or --extend-select")
    others = tuple(code for code in all_rules() if code not in UPGRADES)  # a configuration may ask for them
    return {"select": UPGRADES, "ignore": options["ignore"] + others, "fix": not options["diff"]}


@cli.command()
@click.option("--output-format", type=click.Choice(["text", "json", "markdown"]), default="text", help="[text]")
@click.option("--config", metavar="FILE", help="The configuration whose plugins are listed too. [nearest upwards]")
@click.option("--isolated", is_flag=True, help="Use no configuration file.")
def rules(output_format: str, config: str | None, isolated: bool) -> None:
    """List the rules, those of the configuration's plugins among them."""
    from ..report.rule_list import render as render_rules
    from .check import load_plugins, print_text

    load_plugins(config, isolated=isolated)
    print_text(render_rules(output_format))
