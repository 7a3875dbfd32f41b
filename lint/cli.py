"""The command line. `caffe-lint FILE…` checks; the other commands stand below."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from .config import ConfigError, Settings, check_selectors, find_config, load
from .findings import SEVERITIES, Finding
from .report import FORMATS, Summary, render

if TYPE_CHECKING:
    from .engine import UnitResult
    from .proto.schema import Schema

EXIT_CLEAN, EXIT_FINDINGS, EXIT_TROUBLE, EXIT_INTERRUPTED = 0, 1, 2, 130


class _CheckByDefault(click.Group):
    """A group whose command `check` need not be named: `caffe-lint FILE…` is `caffe-lint check FILE…`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            args = ["check", "--help"]
        elif args[0] not in self.commands and args[0] != "--version":
            args = ["check", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_CheckByDefault, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="caffe-lint", prog_name="caffe-lint")
def cli() -> None:
    """Finds what will make a Caffe training diverge or stop, explains it, and patches the files."""


def main() -> None:
    """The program: runs `cli`; a closed pipe and Ctrl-C end it quietly."""
    import gc

    gc.freeze()
    gc.set_threshold(200_000, 20, 20)  # trees and nets are many small objects that live to the end
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_TROUBLE)
    except BrokenPipeError:
        # Whoever read the output has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FINDINGS)


class _Codes(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.3
    """Codes, prefixes and names of rules, separated by commas."""

    name = "CODES"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        selectors = tuple(part.strip() for part in str(value).split(",") if part.strip())
        try:
            return check_selectors(param.opts[-1] if param else "", selectors)
        except ConfigError as error:
            raise click.UsageError(str(error)) from None


@cli.command(
    epilog="Other commands: `caffe-lint rules` lists the rules, `caffe-lint explain CODE` prints the page of one."
    " Exit status: 0 nothing to report at the level that counts (--fail-on), 1 findings, 2 could not do its work."
)
@click.argument("paths", nargs=-1, metavar="FILE|FOLDER|-…")
@click.option("--fix", is_flag=True, help="Patch the files.")
@click.option("--unsafe-fixes", is_flag=True, help="Also fixes that change the architecture or rest on a guess.")
@click.option("--diff", is_flag=True, help="Show the patch that --fix would make, write nothing.")
@click.option("--output-dir", metavar="DIR", help="With --fix: write all checked files there, leave the originals.")
@click.option("--select", type=_Codes(), multiple=True, help="Only these rules (codes, prefixes, names, ALL).")
@click.option("--extend-select", type=_Codes(), multiple=True, help="These rules as well.")
@click.option("--ignore", type=_Codes(), multiple=True, help="Not these rules.")
@click.option("--output-format", type=click.Choice(FORMATS), default="full", show_default=True, help="How findings are shown.")
@click.option("--output-file", metavar="FILE", help="Write the report there instead of to standard output.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="Least severity that makes the exit status 1. [warning]")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even if there are findings.")
@click.option("--statistics", is_flag=True, help="Count the findings of each rule instead of listing them.")
@click.option("--dialect", metavar="NAME", help="The Caffe that will read the files (bvlc, ssd, nvcaffe, …); found out by default.")
@click.option("--caffe-version", metavar="VERSION", help="The release of Caffe, such as 1.0 or 1.0-rc5.")
@click.option("--proto", metavar="FILE", help="A caffe.proto of your own to read the files by (needs caffe-lint[proto]).")
@click.option("--config", metavar="FILE", help="The configuration to use, instead of the nearest upwards from each file.")
@click.option("--isolated", is_flag=True, help="Use no configuration file.")
@click.option("--jobs", "-j", type=click.IntRange(min=0), default=1, show_default=True, help="Processes; 0: one for each core.")
@click.option("--stdin-filename", metavar="PATH", help="The path that standard input (-) stands for.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colours. [auto]")
def check(paths: tuple[str, ...], **options: Any) -> None:
    """Check solvers and nets: what Caffe would refuse, and what will make gradients explode or vanish.

    A solver is checked together with the nets it names. Below a folder, solvers and nets are found by what they say.
    """
    from .engine import Files, find_units

    if not paths:
        raise click.UsageError("no file or folder given")
    if options["output_dir"] and not options["fix"]:
        raise click.UsageError("--output-dir goes with --fix")
    if options["fix"] and options["diff"]:
        raise click.UsageError("--fix writes and --diff only shows: one of the two")
    schema = _schema(options["proto"])
    trouble: list[str] = []
    settings = _SettingsOfPaths(options, schema)
    try:
        files = Files(schema, settings.of(paths[0]).dialect)
        paths = tuple(_standard_input(path, files, options["stdin_filename"]) for path in paths)
        units = find_units(paths, files, trouble)
        results = _run(units, files, settings, options)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    for result in results:
        trouble += result.trouble
    piped = next(iter(files.given), None)
    findings = sorted({finding[:6]: finding for result in results for finding in result.findings}.values(), key=_order)
    patched: dict[str, bytes] = {}
    sources: dict[str, bytes] = {}
    for result in results:
        patched.update(result.patched)
        sources.update(result.sources)
    colour = _colour(options)
    if options["diff"]:
        _show_diff(patched, sources, colour)
    elif options["fix"]:
        _write(patched, sources, options["output_dir"], piped, trouble)
    fixed = sum(result.applied for result in results) if options["fix"] else 0
    checked = {path for result in results for path in result.checked}
    summary = Summary(len(checked), fixed, len(patched) if options["fix"] else 0)
    if not options["diff"]:
        _show(findings, summary, options, colour, to_stderr=bool(piped and options["fix"]))
    if not units and not trouble:
        click.echo("caffe-lint: no solver or net of Caffe found there", err=True)
    for sentence in dict.fromkeys(trouble):
        click.echo(f"caffe-lint: {sentence}", err=True)
    if trouble:
        raise click.exceptions.Exit(EXIT_TROUBLE)
    fail_on = {path: settings.of(path).fail_on for path in {finding.place.path for finding in findings}}
    failed = any(finding.reaches(fail_on[finding.place.path]) for finding in findings)
    if not options["exit_zero"] and (bool(patched) if options["diff"] else failed):
        raise click.exceptions.Exit(EXIT_FINDINGS)


def _order(finding: Finding) -> tuple[Any, ...]:
    return (*finding.place[:3], finding.code, finding.message)


class _SettingsOfPaths:
    """The settings in force for each path: its configuration file, and the command line over it."""

    def __init__(self, options: dict[str, Any], schema: Schema) -> None:
        self._options = options
        self._schema = schema
        self._by_config: dict[str | None, Settings] = {}
        self._config_of: dict[str, str | None] = {}

    def of(self, path: str) -> Settings:
        """The settings for a path. Raises ConfigError."""
        if self._options["isolated"]:
            config = None
        elif self._options["config"]:
            config = self._options["config"]
        else:
            folder = os.path.abspath(path if os.path.isdir(path) else os.path.dirname(path))
            if folder not in self._config_of:
                self._config_of[folder] = find_config(folder)
            config = self._config_of[folder]
        if config not in self._by_config:
            self._by_config[config] = self._with_options(load(config) if config else Settings())
        return self._by_config[config]

    def _with_options(self, settings: Settings) -> Settings:
        options = self._options

        def joined(name: str) -> tuple[str, ...]:
            return tuple(selector for group in options[name] for selector in group)

        settings = settings._replace(
            select=joined("select") or settings.select,
            extend_select=settings.extend_select + joined("extend_select"),
            ignore=(settings.ignore if not options["select"] else ()) + joined("ignore"),
            fail_on=options["fail_on"] or settings.fail_on,
            dialect=options["dialect"] or settings.dialect,
            caffe_version=options["caffe_version"] or settings.caffe_version,
        )
        settings.check(self._schema)
        return settings


def _schema(proto: str | None) -> Schema:
    """The schema to read by: ours, or one compiled from the user's caffe.proto."""
    if proto is None:
        from .proto.schema import caffe_schema

        return caffe_schema()
    from pathlib import Path

    from .proto.compile import CompileError, compile_proto, schema_table
    from .proto.schema import Schema

    try:
        return Schema(schema_table(compile_proto(Path(proto))), None, ())
    except CompileError as error:
        raise click.ClickException(f"--proto {proto}: {error}") from None


def _standard_input(path: str, files: Any, name: str | None) -> str:
    """`-` read whole, under the name it stands for; any other path as it is."""
    if path != "-":
        return path
    shown = name or "-"
    files.add(shown, sys.stdin.buffer.read())
    return shown


def _run(units: list[Any], files: Any, settings: _SettingsOfPaths, options: dict[str, Any]) -> list[UnitResult]:
    from .engine import run_units

    jobs = options["jobs"] or os.cpu_count() or 1
    work = [(unit, settings.of(unit.paths[0])) for unit in units]
    patch = "unsafe" if options["unsafe_fixes"] else "safe"
    return run_units(work, files, patch if options["fix"] or options["diff"] else "", jobs)


def _colour(options: dict[str, Any]) -> bool:
    if options["color"] != "auto":
        return bool(options["color"] == "always")
    return sys.stdout.isatty() and not options["output_file"] and "NO_COLOR" not in os.environ


def _show(findings: list[Finding], summary: Summary, options: dict[str, Any], colour: bool, to_stderr: bool) -> None:
    if options["statistics"]:
        from .report.statistics import render as render_statistics

        text = render_statistics(findings, summary)
    else:
        text = render(options["output_format"], findings, summary, colour=colour)
    if options["output_file"]:
        try:
            with open(options["output_file"], "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
        except OSError as error:
            raise click.ClickException(f"{options['output_file']}: {error.strerror}") from None
    else:
        _print(text, to_stderr=to_stderr)


def _print(text: str, *, to_stderr: bool = False) -> None:
    """Writes text whatever it holds: in UTF-8, bytes that came in undecoded going out unchanged."""
    stream = sys.stderr if to_stderr else sys.stdout
    stream.flush()
    stream.buffer.write(text.encode("utf-8", "surrogateescape"))
    stream.buffer.flush()


def _show_diff(patched: dict[str, bytes], sources: dict[str, bytes], colour: bool) -> None:
    from .report.diff import render as render_diff

    for path in sorted(patched):
        _print(render_diff(path, sources[path], patched[path], colour=colour))


def _write(
    patched: dict[str, bytes], sources: dict[str, bytes], output_dir: str | None, piped: str | None, trouble: list[str]
) -> None:
    """Writes the patched files; standard input goes to standard output. What fails is added to `trouble`."""
    from .fixes.write import write_atomically, write_copy

    if piped is not None:
        sys.stdout.buffer.write(patched.get(piped, sources.get(piped, b"")))
        sys.stdout.buffer.flush()
    on_disk = {path: source for path, source in sources.items() if path != piped}
    base = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in on_disk]) if on_disk else ""
    for path, source in sorted(on_disk.items()):
        try:
            if output_dir:
                target = os.path.join(output_dir, os.path.relpath(os.path.abspath(path), base))
                write_copy(path, target, patched.get(path, source))
            elif path in patched and patched[path] != source:
                write_atomically(path, source, patched[path])
        except OSError as error:
            trouble.append(f"not written: {error.strerror + ': ' + path if error.strerror else error}")


@cli.command()
@click.option("--output-format", type=click.Choice(["text", "json", "markdown"]), default="text", help="[text]")
def rules(output_format: str) -> None:
    """List the rules."""
    from .report.rules import render as render_rules

    _print(render_rules(output_format))


@cli.command()
@click.argument("selector", metavar="CODE|NAME")
def explain(selector: str) -> None:
    """Print the page of a rule: what it finds, why it hurts, an example, and what the fix does."""
    from .report.rules import page
    from .rule import all_rules, matching

    codes = matching(selector)
    if not codes:
        try:
            check_selectors("explain", (selector,))
        except ConfigError as error:
            raise click.ClickException(str(error)) from None
    _print("\n".join(page(all_rules()[code]) for code in codes))
