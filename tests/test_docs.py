"""The documentation is up to date: sessions, the table of rules, links, and the files it names."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
from pathlib import Path
from types import ModuleType

import click
import pytest
from harness import check_files, fix_files, settings_in

from caffe_lint.cli.command_table import COMMANDS
from caffe_lint.cli.commands import cli
from caffe_lint.net.data_facts import DataFacts, read_facts
from caffe_lint.rule.registry import all_rules
from caffe_lint.settings.nearest_files import FACTS_NAME

CHECKOUT = Path(__file__).resolve().parent.parent
if not (CHECKOUT / "README.md").exists():
    pytest.skip("there is no checkout to look at", allow_module_level=True)

PAGES = [*CHECKOUT.glob("*.md"), *CHECKOUT.glob("*/*.md")]


def script(name: str) -> ModuleType:
    """A program in docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_parts_of_pages_are_current() -> None:
    update_pages = script("update_pages")
    assert update_pages.SESSION.search((CHECKOUT / "README.md").read_text(encoding="utf-8")), (
        "the README shows no session"
    )
    for page in update_pages.PAGES:
        text = page.read_text(encoding="utf-8")
        assert update_pages.updated(text) == text, "run: python docs/update_pages.py"


@pytest.mark.skipif(os.name != "posix", reason="terminals as on POSIX systems")
def test_the_picture_shows_what_a_terminal_shows() -> None:
    picture = script("terminal_picture")
    printed = re.sub(r"\x1b\[[\d;]*m", "", picture.shown(picture.COMMAND))
    expected = [f"$ {picture.COMMAND}", *(line.rstrip() for line in printed.rstrip("\n").split("\n"))]
    drawn = picture.PICTURE.read_text(encoding="utf-8")
    assert picture.text_in(drawn) == expected, "run: python docs/terminal_picture.py"
    assert "url(http" not in drawn


def test_every_rule_is_listed_and_no_other() -> None:
    text = (CHECKOUT / "docs" / "rules.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([A-Z]\d{3}) \| ([a-z0-9-]+) \|", text, re.MULTILINE))
    assert rows == {code: rule.name for code, rule in all_rules().items()}


def test_the_number_of_forks_is_that_of_the_table() -> None:
    lines = (CHECKOUT / "proto" / "dialects.tsv").read_text(encoding="utf-8").splitlines()
    number = sum(bool(line) and not line.startswith("#") for line in lines) - 1  # the first is BVLC's
    for name in ("README.md", "CHANGELOG.md"):
        assert re.findall(r"(\d+)\s+forks", (CHECKOUT / name).read_text(encoding="utf-8")) == [str(number)], name


def test_every_command_is_explained() -> None:
    text = (CHECKOUT / "docs" / "usage.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert command == "check" or f"`caffe-lint {command}" in text, command


def test_the_documented_configuration_is_valid(tmp_path: Path) -> None:
    text = (CHECKOUT / "docs" / "adopting.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(preset.*?)```", text, re.DOTALL)
    config = tmp_path / "caffe-lint.toml"
    config.write_text(block, encoding="utf-8")
    (tmp_path / "caffe-lint.baseline.json").write_text('{"version": 1, "findings": []}')
    assert settings_in(str(config)).dialect == "bvlc"


def test_nothing_is_installed_by_a_name_on_an_index_that_is_not_ours() -> None:
    """What people read says to install caffe-lint from a path or an address: somebody else may own the name elsewhere."""
    for path in [*PAGES, *CHECKOUT.glob("lint/**/*.py"), *CHECKOUT.glob("proto/*.py"), CHECKOUT / "Makefile"]:
        text = path.read_text(encoding="utf-8")
        installs = re.findall(r"pip install [^\n`)]*", text)
        wrong = [line for line in installs if re.search(r"(?:\s|['\"])caffe-lint(?!\[\w+\] @ )", line)]
        assert not wrong, (path, wrong)


def test_every_benchmark_is_explained() -> None:
    text = (CHECKOUT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    programs = {path.name for path in (CHECKOUT / "benchmarks").glob("*.py")}
    assert set(re.findall(r"^\| `(\w+\.py)` \|", text, re.MULTILINE)) == programs


def commands_in(text: str) -> list[tuple[str, bool]]:
    """The command lines of caffe-lint in a page, and whether each stands in a block, to be typed as it is.

    What follows a pipe or a redirection is left out, as is a comment.
    """
    parts = re.split(r"^ *```.*\n", text, flags=re.MULTILINE)  # prose and blocks in turns
    lines = [line for block in parts[1::2] for line in block.replace("\\\n", " ").splitlines()]
    typed = [(line, True) for line in lines if re.match(r"\s*(?:\$ )?caffe-lint\b|.*\| caffe-lint\b", line)]
    typed += [(line, False) for prose in parts[::2] for line in re.findall(r"(?<!`)`(caffe-lint [^`\n]+)`(?!`)", prose)]
    found = []
    for line, is_whole in typed:
        line = re.sub(r"\s#.*|(?<=\S)\s{2,}\S.*", "", line[line.index("caffe-lint") :].replace("\\|", "|"))
        line = re.sub(r"\[(--[^\]|]*)[^\]]*\]", r"\1", line)  # what may be added, or the first of several
        found.append((re.split(r"\s(?:\||>|<|2>|&&|;|\|\|)(?:\s|$|&)", line)[0].rstrip("; "), is_whole))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_command_line_is_understood(page: Path) -> None:
    for line, is_whole in commands_in(page.read_text(encoding="utf-8")):
        words = [word for word in shlex.split(line)[1:] if word not in ("…", "...", "[OPTIONS]")]
        if not words or words[0] in ("--version", "--help", "COMMAND"):
            continue
        name = words.pop(0) if words[0] in COMMANDS else "check"
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        try:
            command.make_context(name, words)
        except click.exceptions.Exit:  # --help
            pass
        except click.UsageError as error:
            # A sentence may name a command and an option alone.
            is_short = isinstance(error, (click.MissingParameter, click.BadOptionUsage))
            assert is_short and not is_whole, f"{line}: {error.format_message()}"  # noqa: PT017, PT018


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_and_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in link]
    named = re.findall(r"`((?:lint|proto|fixes|tests|docs|examples|benchmarks)/[\w./-]*)`", text)
    missing = {link for link in links if not (page.parent / link).exists()}
    missing |= {name for name in named if not (CHECKOUT / name).exists() and not (page.parent / name).exists()}
    assert not missing


def example(folder: Path) -> tuple[dict[str, bytes], DataFacts]:
    """The files of an example, and what is known of its data."""
    facts = folder / FACTS_NAME
    return {path.name: path.read_bytes() for path in folder.glob("*.prototxt")}, (
        read_facts(str(facts)) if facts.is_file() else {}
    )


@pytest.mark.parametrize(
    ("folder", "codes"),
    [
        ("digits", set()),
        ("faces", {"G103"}),
        ("streets", {"G101", "G102", "G104", "G105", "G107"}),
        ("letters", {"E111", "G101", "G103", "S121"}),
    ],
)
def test_the_examples_have_the_documented_findings(folder: str, codes: set[str]) -> None:
    texts, facts = example(CHECKOUT / "examples" / folder)
    assert {finding.code for finding in check_files(texts, facts=facts)} == codes


def test_fixed_examples_have_nothing_left_to_fix() -> None:
    for folder in (CHECKOUT / "examples").iterdir():
        texts, facts = example(folder)
        fixed = fix_files(texts, unsafe=True, facts=facts)
        assert not [finding for finding in check_files(fixed, facts=facts) if finding.fix is not None]


def test_only_the_weight_of_the_dominant_loss_is_changed() -> None:
    texts, facts = example(CHECKOUT / "examples" / "faces")
    (finding,) = check_files(texts, facts=facts)
    assert "'points_loss'" in finding.message
    before = texts["train_val.prototxt"].decode().splitlines()
    fixed = fix_files(texts, facts=facts)
    after = fixed["train_val.prototxt"].splitlines()
    changed = [line for line, other in zip(before, after, strict=True) if line != other]
    assert [line.split(":")[0].strip() for line in changed] == ["loss_weight"]
    assert fixed["solver.prototxt"] == texts["solver.prototxt"].decode()


def test_a_heavy_loss_is_weighed_down_before_a_clip_threshold_is_computed() -> None:
    """By default so far that the training is stable; the threshold waits until no loss dominates."""
    texts, facts = example(CHECKOUT / "examples" / "letters")
    for unsafe in (False, True):
        fixed = fix_files(texts, facts=facts, unsafe=unsafe)
        weight = re.search(r"loss_weight: ([\d.]+)", fixed["train_val.prototxt"])
        assert weight is not None
        assert float(weight[1]) < 1 if unsafe else float(weight[1]) == 1
        assert "base_lr: 0.01\n" in fixed["solver.prototxt"]
        assert bool(re.search(r"clip_gradients: \d", fixed["solver.prototxt"])) == unsafe


def test_every_rule_with_safe_fixes_that_change_a_training_is_explained() -> None:
    page = (CHECKOUT / "docs" / "adopting.md").read_text(encoding="utf-8")
    table = page.split("<!-- safe fixes -->")[1].split("<!-- end of safe fixes -->")[0]
    codes = {code for row in re.findall(r"^\| ([A-Z0-9, ]+) \|", table, re.MULTILINE) for code in row.split(", ")}
    safe = {code for code, rule in all_rules().items() if "safe" in rule.fixes.split(", ") and not rule.by_name}
    of_text = {code for code in safe if code.startswith(("E10", "E11", "P"))}
    assert codes == safe - of_text
