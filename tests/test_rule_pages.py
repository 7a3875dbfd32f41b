"""Every rule has a page: a bad example that gives its finding, and a good one that is clean and what its fix makes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from caffe_lint import rules
from caffe_lint.cli.page_examples import Ran, run_example
from caffe_lint.rule.page_form import fault_of, fault_of_examples
from caffe_lint.rule.pages import OUR_EXAMPLES, read_page
from caffe_lint.rule.registry import Rule, all_rules, rule

RULES = list(all_rules().values())
OF_LOGS = [rule for rule in RULES if rule.subject == "log"]


@pytest.fixture(autouse=True)
def libraries(request: pytest.FixtureRequest) -> None:
    """Skips examples with data where what reads them is not installed."""
    if "rule" in request.fixturenames and request.getfixturevalue("rule").subject == "inputs":
        for library in ("h5py", "lmdb", "PIL.Image"):
            pytest.importorskip(library)


def found(rule: Rule, files: dict[str, str]) -> dict[str, set[bool]]:
    """The codes that the recommended rules and this one find, each with the kinds of fix (safe or not) it offers."""
    report = json.loads(run_example(rule, files, "--output-format", "json").output)
    findings = report["causes" if rule.subject == "log" else "findings"]
    kinds: dict[str, set[bool]] = {finding["code"]: set() for finding in findings}
    for finding in findings:
        if finding.get("fix"):
            kinds[finding["code"]].add(finding["fix"]["safe"])
    return kinds


def fixed(rule: Rule, files: dict[str, str]) -> Ran:
    only = () if rule.subject == "inputs" else ("--select", rule.code)
    return run_example(rule, files, "--fix", "--unsafe-fixes", *only)


def ids(rule: Rule) -> str:
    return rule.code


@pytest.mark.parametrize("rule", RULES, ids=ids)
def test_a_page_has_its_sections_in_order_and_two_examples(rule: Rule) -> None:
    assert fault_of(rule.page, fixes=bool(rule.fixes), options=bool(rule.options)) == ""
    assert rule.subject == "log" or ("Fix" in read_page(rule).sections) == bool(rule.fixes)
    assert read_page(rule).summary.endswith(".")
    assert all(read_page(rule).sections.values())
    assert fault_of_examples(read_page(rule).bad, read_page(rule).good, fixes=bool(rule.fixes)) == ""


@pytest.mark.parametrize("rule", RULES, ids=ids)
def test_a_page_names_the_options_of_its_rule(rule: Rule) -> None:
    text = read_page(rule).sections.get("Options", "")
    assert [name for name in rule.options if f"`{name}`" not in text] == []


@pytest.mark.parametrize("rule", RULES, ids=ids)
def test_the_bad_example_gives_this_finding_and_no_other(rule: Rule) -> None:
    page = read_page(rule)
    kinds = found(rule, page.bad)
    assert set(kinds) == {rule.code, *page.comes_with}
    declared = {"safe": True, "unsafe": False}
    assert kinds[rule.code] <= {declared[word] for word in rule.fixes.split(", ") if word}


@pytest.mark.parametrize("rule", RULES, ids=ids)
def test_the_good_example_is_clean(rule: Rule) -> None:
    assert found(rule, read_page(rule).good) == {}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.fixes], ids=ids)
def test_the_fix_makes_the_good_example_of_the_bad_one(rule: Rule) -> None:
    page = read_page(rule)
    ran = fixed(rule, page.bad)
    assert ran.files == page.good, ran.output


@pytest.mark.parametrize("rule", OF_LOGS, ids=ids)
def test_the_repair_by_a_log_is_the_one_that_the_page_shows(rule: Rule) -> None:
    page = read_page(rule)
    after = run_example(rule, page.bad, "--fix").files
    changed = {name: text for name, text in after.items() if text != page.bad[name]}
    assert changed == {name: page.good[name] for name in changed}
    assert bool(changed) == ("Fix" in page.sections)


PAGE = """\
A thing is wrong.

## What it does

Things.

## Why is this bad?

It hurts.

## When it is reported

Always.

## Fix

It is safe.

## Example

The net has a name.

Comes with: N203.

## References

net.cpp.
"""


def with_files(tmp_path: Path, files: dict[str, str], *, fixes: str = "") -> Rule:
    """A rule of a module in a folder with these files below `examples/P999/`."""
    for name, text in files.items():
        path = tmp_path / "examples" / "P999" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    program = f"def check(file):\n    return []\ncheck.__doc__ = {PAGE!r}\n"
    names: dict[str, Any] = {"__name__": "plugin"}
    exec(compile(program, str(tmp_path / "plugin.py"), "exec"), names)
    return Rule("P999", "a-thing", "file", "advice", names["check"], {}, fixes, True)


def test_the_good_example_is_the_bad_one_with_other_files(tmp_path: Path) -> None:
    files = {"bad/a.prototxt": 'name: "a"\n', "bad/b/c.prototxt": 'name: "c"\r\n', "good/b/c.prototxt": 'name: "e"\n'}
    page = read_page(with_files(tmp_path, files))
    assert page.bad == {"a.prototxt": 'name: "a"\n', "b/c.prototxt": 'name: "c"\r\n'}
    assert page.good == {"a.prototxt": 'name: "a"\n', "b/c.prototxt": 'name: "e"\n'}
    assert page.comes_with == ("N203",)


def test_solvers_stand_before_nets_and_nets_before_their_data(tmp_path: Path) -> None:
    names = ["a.ppm", "data.prototxt", "nets/b.prototxt", "solver.prototxt"]
    page = read_page(with_files(tmp_path, {f"bad/{name}": "" for name in names}))
    assert list(page.bad) == ["solver.prototxt", "data.prototxt", "nets/b.prototxt", "a.ppm"]


def test_every_file_with_rules_is_registered() -> None:
    folder = OUR_EXAMPLES.parent
    files = {path for path in folder.glob("*/*.py") if "\n@rule(" in path.read_text(encoding="utf-8")}
    groups = (rules.OF_FILES, rules.OF_DATA, rules.OF_LOGS)
    listed = [folder / family / f"{name}.py" for group in groups for family, names in group.items() for name in names]
    assert sorted(listed) == sorted(files)


def test_every_folder_of_examples_belongs_to_a_rule() -> None:
    assert {path.name for path in OUR_EXAMPLES.iterdir() if path.is_dir()} == set(all_rules())
    for code in all_rules():
        assert {path.name for path in (OUR_EXAMPLES / code).iterdir()} == {"bad", "good"}


@pytest.mark.parametrize("rule", RULES, ids=ids)
def test_a_good_example_holds_only_what_differs(rule: Rule) -> None:
    page = read_page(rule)
    files = [path for path in (OUR_EXAMPLES / rule.code / "good").rglob("*") if path.is_file()]
    held = [path for path in files if "__pycache__" not in path.parts]  # pip compiles what it installs
    assert len(held) == sum(page.bad.get(name) != text for name, text in page.good.items())


@pytest.mark.parametrize(
    "section", ["What it does", "Why is this bad?", "When it is reported", "Fix", "References"]
)
def test_a_page_without_one_of_its_sections_is_refused(section: str) -> None:
    assert fault_of(PAGE, fixes=True, options=False) == ""
    assert f"'{section}'" in fault_of(PAGE.replace(f"## {section}\n", ""), fixes=True, options=False)


def test_only_a_rule_with_a_fix_needs_to_say_what_it_does() -> None:
    assert fault_of(PAGE.replace("## Fix\n", ""), fixes=False, options=False) == ""


def test_sections_out_of_order_are_refused() -> None:
    head, tail = PAGE.split("## References\n")
    assert "'References'" in fault_of(f"## References\n{tail}{head}", fixes=False, options=False)


def test_a_rule_without_an_example_is_refused() -> None:
    assert "no example" in fault_of_examples({}, {}, fixes=False)


def test_a_fix_without_an_example_is_refused() -> None:
    net = {"net.prototxt": ""}
    assert "show no fix" in fault_of_examples(net, net, fixes=True)
    assert fault_of_examples(net, net, fixes=False) == ""


def test_options_need_a_section() -> None:
    assert "'Options'" in fault_of(PAGE, fixes=False, options=True)


def test_without_docstrings_rules_work_as_they_do_with_them(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text('layer { name: "a" type: "Relu" }\n')
    run = [subprocess.run([sys.executable, *flags, "-m", "caffe_lint", "net.prototxt"], cwd=tmp_path, capture_output=True)
           for flags in ((), ("-OO",))]  # fmt: skip
    assert b"[E116]" in run[0].stdout
    assert (run[1].stdout, run[1].stderr) == (run[0].stdout, b"")


@pytest.mark.parametrize("page", [None, "A sentence.", PAGE.replace("## References\n", ""), PAGE])
def test_a_rule_without_a_page_or_an_example_cannot_be_registered(page: str | None) -> None:
    def check(file: object) -> list[object]:
        return []

    check.__doc__ = page
    with pytest.raises(ValueError, match=r"rule P999: (its page has no section|it has no example)"):
        rule("P999", "no-page", subject="file", severity="advice")(check)
    assert "P999" not in {each.code for each in all_rules().values()}
