"""The command line as click has it: `caffe-lint COMMAND …`, and `caffe-lint FILE…`, which checks."""

from __future__ import annotations

from importlib import import_module

import click

from .command_table import COMMANDS
from .console import EXIT_FAILED


class _CheckByDefault(click.Group):
    """A group whose command `check` need not be named: `caffe-lint FILE…` is `caffe-lint check FILE…`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            args = ["check", "--help"]
        elif args[0] not in self.list_commands(ctx) and args[0] != "--version":
            args = ["check", *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        return getattr(import_module(f".{COMMANDS[name]}", __package__), name)  # type: ignore[no-any-return]


@click.group(cls=_CheckByDefault, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="caffe-lint", prog_name="caffe-lint")
def cli() -> None:
    """Find what makes a Caffe training diverge or stop, explain it, and patch the files."""


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
        return EXIT_FAILED
