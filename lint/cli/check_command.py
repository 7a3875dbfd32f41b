"""`caffe-lint check`, which need not be named: its options."""

from __future__ import annotations

from typing import Any

import click

from ..report import FORMATS
from ..rule.registry import all_rules
from ..rules.portability.legacy import UPGRADES
from ..settings.in_force import CommandLine
from .check import Options
from .check import check as run_check
from .help_groups import GroupedCommand
from .option_types import (
    FILE,
    baseline_option,
    caffe_version_option,
    check_weights,
    color_option,
    config_options,
    data_facts_option,
    deploy_option,
    dialect_option,
    diff_option,
    exit_options,
    extend_select_option,
    fix_option,
    ignore_option,
    input_shape_option,
    jobs_option,
    joined,
    min_confidence_option,
    output_dir_option,
    output_file_option,
    output_format_option,
    preset_option,
    proto_option,
    report_file,
    select_option,
    simulate_option,
    unsafe_fixes_option,
    weights_options,
)


@click.command(
    cls=GroupedCommand,
    short_help="Check solvers and nets; need not be named: caffe-lint FILE…",
    epilog="Exit status: 0 no findings at or above the level that counts (--fail-on), 1 findings, 2 the check could not be done.",
)
@click.argument("paths", nargs=-1, type=FILE, metavar="FILE|FOLDER|-…")
@fix_option
@unsafe_fixes_option
@click.option("--upgrade", is_flag=True, help="Upgrade old formats to the current one (--fix for P201 to P205 only).")
@diff_option
@click.option("--interactive", is_flag=True, help="Show each fix and ask whether to apply it.")
@output_dir_option()
@click.option(
    "--add-ignore",
    is_flag=True,
    help="Suppress the findings by comments instead of reporting them (with --diff: show).",
)
@preset_option
@select_option
@extend_select_option
@ignore_option
@min_confidence_option
@baseline_option
@click.option(
    "--write-baseline", type=FILE, metavar="FILE", help="Record the findings in this file instead of reporting them."
)
@output_format_option(FORMATS, "full")
@output_file_option
@click.option(
    "--sort",
    type=click.Choice(["severity", "path"]),
    default="severity",
    show_default=True,
    help="The order of findings for people: job by job and the most severe first, or by path and line.",
)
@click.option("--show-all", is_flag=True, help="Show every finding in full, without folding any.")
@click.option("--statistics", is_flag=True, help="Count the findings of each rule instead of listing them.")
@color_option
@exit_options
@dialect_option
@caffe_version_option
@proto_option
@click.option("--no-repository-proto", is_flag=True, help="Do not read the Caffe of the files' own repository.")
@deploy_option
@data_facts_option
@input_shape_option
@weights_options
@simulate_option
@config_options
@click.option("--with-solvers", is_flag=True, help="Check the solvers of the repository that name these nets as well.")
@click.option("--watch", is_flag=True, help="Check again when a file changes, until Ctrl-C (needs watchfiles).")
@jobs_option
@click.option(
    "--cache-dir",
    type=FILE,
    metavar="DIR",
    help="Keep results there between runs. [default: in the user's cache folder]",
)
@click.option("--no-cache", is_flag=True, help="Neither use results of earlier runs nor keep those of this one.")
@click.option("--stdin-filename", type=FILE, metavar="PATH", help="The path to report for standard input (-).")
def check(paths: tuple[str, ...], **options: Any) -> int:
    """Check solvers and nets for what Caffe refuses and for what makes a training diverge or stall.

    A solver is checked together with the nets it names. In folders, solvers and nets are recognised by their contents.
    """
    for name in ("select", "extend_select", "ignore"):
        options[name] = joined(options[name])
    options["output_file"] = report_file(options["output_file"])
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
