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
from .option_types import Codes, InputShape, joined


@click.command(
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
    type=click.Choice(list(FORMATS)),
    default="full",
    show_default=True,
    help="How findings are shown.",
)
@click.option("--output-file", metavar="FILE", help="Write the report there instead of to standard output.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Least severity that makes the exit status 1. [warning]")
@click.option("--min-confidence", type=click.Choice(CONFIDENCES), help="Least confidence of what is reported. [low]")
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
    for name in ("select", "extend_select", "ignore"):
        options[name] = joined(options[name])
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
