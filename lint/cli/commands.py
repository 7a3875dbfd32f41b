"""The command line as click has it: `caffe-lint COMMAND …`, and `caffe-lint FILE…`, which checks."""

from __future__ import annotations

from importlib import import_module

import click
from click.shell_completion import CompletionItem, FishComplete, add_completion_class

from ..source.opener import forget_read
from .command_table import COMMAND_GROUPS, COMMANDS
from .console import EXIT_FAILED
from .help_groups import OWN, HelpContext, sections


class _WholeWordsInFish(FishComplete):
    """Completion for fish that keeps what comes after a comma: rules of `--select`, names of files, descriptions."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split --max 1 ","')


add_completion_class(_WholeWordsInFish)


class _CheckByDefault(click.Group):
    """A group whose command `check` need not be named: `caffe-lint FILE…` is `caffe-lint check FILE…`."""

    context_class = HelpContext

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            args = ["--help"]
        elif args[0] not in COMMANDS and args[0] not in ("--version", *ctx.help_option_names):
            args = ["check", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return getattr(import_module(f".{COMMANDS[name]}", __package__), name)  # type: ignore[no-any-return]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands, and what a check takes: its options and files."""
        found = super().shell_complete(ctx, incomplete)
        check = self.get_command(ctx, "check")
        if check is not None:
            found += check.shell_complete(click.Context(check, parent=ctx), incomplete)
        if not found:  # shells take either words or files
            found.append(CompletionItem(incomplete, type="file"))
        return list({item.value: item for item in found}.values())

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "FILE|FOLDER|-… [OPTIONS]")
        formatter.write_usage(ctx.command_path, "COMMAND … [OPTIONS]", prefix=" " * len("Usage: "))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options of the check."""
        commands = {name: self.get_command(ctx, name) for name in COMMANDS}
        for title, names in COMMAND_GROUPS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name, command.get_short_help_str(80)) for name in names if (command := commands[name])]
                )
        check = commands["check"]
        if check is not None:
            groups = sections(check, click.Context(check, parent=ctx, help_option_names=[]))
            groups[OWN] = sections(self, ctx)[OWN]
            for title, rows in groups.items():
                with formatter.section(title):
                    formatter.write_dl(rows)


@click.group(
    cls=_CheckByDefault,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="`caffe-lint COMMAND --help` has the options of a command. Exit status of a check: 0 no findings at or above the level"
    " that counts (--fail-on), 1 findings, 2 the check could not be done.",
)
@click.version_option(package_name="caffe-lint", prog_name="caffe-lint")
def cli() -> None:
    """Find what makes a Caffe training diverge or stop, explain it, and patch the files."""


def run(arguments: list[str]) -> int:
    """Runs a command line and gives the exit status. Raises KeyboardInterrupt when click was interrupted."""
    forget_read()
    try:
        return cli(arguments, standalone_mode=False) or 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        return EXIT_FAILED
