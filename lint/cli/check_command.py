"""`caffe-lint check`, which need not be named: its options."""

from __future__ import annotations

from typing import Any

import click

from ..report import FORMATS
from ..rule.registry import all_rules
from ..rules.portability.legacy import UPGRADES
from ..settings.in_force import CommandLine
from ..settings.settings import CONFIDENCES, PRESETS, SEVERITIES
from .check import Options
from .check import check as run_check
from .option_types import Codes, check_weights, input_shape_option, joined, weights_options


@click.command(
    epilog="""Exit status: 0 no findings at or above the level that counts (--fail-on), 1 findings, 2 the check could not be done.

    Other commands; each has its own --help:

    \b
      config FILE       print the settings that apply to a file
      explain CODE      print the pages of rules
      inputs FILE       check the data that nets name
      log LOG           find out from its log what went wrong in a training
      net FILE          print a net as Caffe builds it
      probe FILE        write a net that finds the batch with NaN or a bad label
      rules             list the rules
      schedule SOLVER   print the learning rate over the run
      signal SOLVER     predict activations, gradients and updates of iteration 0
    """
)
@click.argument("paths", nargs=-1, metavar="FILE|FOLDER|-…")
@click.option("--fix", is_flag=True, help="Patch the files.")
@click.option("--unsafe-fixes", is_flag=True, help="With --fix: also apply fixes that change the architecture or rest on a guess.")
@click.option("--upgrade", is_flag=True, help="Upgrade old formats to the current one (--fix for P201 to P205 only).")
@click.option("--diff", is_flag=True, help="Show the patch that --fix would apply; write nothing.")
@click.option(
    "--add-ignore", is_flag=True, help="Suppress the findings by comments instead of reporting them (with --diff: show)."
)
@click.option("--output-dir", metavar="DIR", help="With --fix: write all checked files there and keep the originals.")
@click.option("--baseline", metavar="FILE", help="Hide the findings recorded in this file.")
@click.option("--write-baseline", metavar="FILE", help="Record the findings in this file instead of reporting them.")
@click.option("--preset", type=click.Choice(list(PRESETS)), help="The base set of rules. [recommended]")
@click.option("--select", type=Codes(), multiple=True, help="Enable only these rules (codes, prefixes, names or ALL).")
@click.option("--extend-select", type=Codes(), multiple=True, help="Enable these rules as well.")
@click.option("--ignore", type=Codes(), multiple=True, help="Disable these rules.")
@click.option(
    "--output-format",
    type=click.Choice(list(FORMATS)),
    default="full",
    show_default=True,
    help="The format of the report.",
)
@click.option(
    "--sort",
    type=click.Choice(["severity", "path"]),
    default="severity",
    show_default=True,
    help="The order of findings for people: job by job and the most severe first, or by path and line.",
)
@click.option("--show-all", is_flag=True, help="Show every finding in full, without folding any.")
@click.option("--output-file", metavar="FILE", help="Write the report to this file instead of standard output.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Lowest severity that sets exit status 1. [warning]")
@click.option("--min-confidence", type=click.Choice(CONFIDENCES), help="Lowest confidence to report. [low]")
@click.option("--exit-zero", is_flag=True, help="Exit with status 0 even if there are findings.")
@click.option("--statistics", is_flag=True, help="Count the findings of each rule instead of listing them.")
@click.option(
    "--dialect",
    metavar="NAME",
    help="The Caffe that reads the files (bvlc, ssd, nvcaffe, …). [detected]",
)
@click.option(
    "--deploy",
    metavar="FILE",
    help="The deploy net, which uses the trained weights. [the one next to the training net]",
)
@click.option("--data-facts", metavar="FILE", help="Facts about the data. [nearest caffe-lint.data.json upwards]")
@weights_options
@click.option("--caffe-version", metavar="VERSION", help="The Caffe release, such as 1.0 or 1.0-rc5.")
@click.option(
    "--proto",
    metavar="FILE",
    help="Your own caffe.proto to read the files with (needs caffe-lint[proto]).",
)
@click.option("--no-repository-proto", is_flag=True, help="Do not read the caffe.proto of the files' own repository.")
@input_shape_option("input_shape")
@click.option(
    "--config",
    metavar="FILE",
    help="The configuration to use. [nearest upwards from each file]",
)
@click.option("--isolated", is_flag=True, help="Ignore all configuration files.")
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=0),
    default=0,
    help="Number of processes. [one per core if there are more than a few files]",
)
@click.option("--cache-dir", metavar="DIR", help="Keep results there between runs. [in the user's cache folder]")
@click.option("--no-cache", is_flag=True, help="Neither use results of earlier runs nor keep those of this one.")
@click.option("--interactive", is_flag=True, help="Show each fix and ask whether to apply it.")
@click.option("--watch", is_flag=True, help="Check again when a file changes, until Ctrl-C (needs caffe-lint[watch]).")
@click.option("--stdin-filename", metavar="PATH", help="The path to report for standard input (-).")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="When to use colours. [auto]")
def check(paths: tuple[str, ...], **options: Any) -> int:
    """Check solvers and nets for what Caffe refuses and for what makes a training diverge or stall.

    A solver is checked together with the nets it names. In folders, solvers and nets are recognised by their contents.
    """
    for name in ("select", "extend_select", "ignore"):
        options[name] = joined(options[name])
    check_weights(options["from_scratch"], options["weights"])
    if options.pop("upgrade"):
        options.update(_only_upgrades(options))
    settings = CommandLine(**{name: options.pop(name) for name in CommandLine._fields})
    return run_check(paths, Options(settings, **options))


def _only_upgrades(options: dict[str, Any]) -> dict[str, Any]:
    """The options that `--upgrade` stands for."""
    if options["select"] or options["extend_select"]:
        raise click.UsageError("--upgrade selects its rules itself: not together with --select or --extend-select")
    others = tuple(code for code in all_rules() if code not in UPGRADES)  # a configuration may ask for them
    return {"select": UPGRADES, "ignore": options["ignore"] + others, "fix": not options["diff"]}
