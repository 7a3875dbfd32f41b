"""The documentation website: a page for each rule, and working links. mkdocs is not needed for these tests."""

from __future__ import annotations

import importlib.util
import os
import posixpath
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from caffe_lint.rule.registry import FAMILIES, all_rules

CHECKOUT = Path(__file__).resolve().parent.parent
if not (CHECKOUT / "docs" / "site").exists():
    pytest.skip("there is no checkout to look at", allow_module_level=True)


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_build", CHECKOUT / "docs" / "site" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(site: ModuleType) -> dict[str, str]:
    found = site.pages()
    assert isinstance(found, dict)
    return found


def test_every_rule_has_a_page_and_a_row(pages: dict[str, str]) -> None:
    paths = {path for path in pages if re.fullmatch(r"rules/[A-Z]\d{3}\.md", path)}
    assert paths == {f"rules/{code}.md" for code in all_rules()}
    rows = re.findall(r"^\| \[([A-Z]\d{3})\]\(\.\./rules/\1\.md\) \|", pages["docs/rules.md"], re.MULTILINE)
    assert sorted(rows) == list(all_rules())
    assert re.findall(r"^## .* \{ #(\w) \}$", pages["docs/rules.md"], re.MULTILINE) == [
        letter.lower() for letter in FAMILIES
    ]


def test_every_link_has_a_target(pages: dict[str, str]) -> None:
    pictures = {str(path.relative_to(CHECKOUT)) for path in (CHECKOUT / "docs" / "pictures").iterdir()}
    there = {*pages, *pictures}
    missing = [
        (path, link)
        for path, text in pages.items()
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", re.sub(r"(?ms)^```.*?^```", "", text))
        if "://" not in link and posixpath.normpath(posixpath.join(posixpath.dirname(path), link)) not in there
    ]
    assert missing == []


def test_a_page_shows_example_output_and_repair_with_the_changed_lines_marked(pages: dict[str, str]) -> None:
    page = pages["rules/E103.md"]
    example, rest = page.split("$ caffe-lint")
    output, repair = rest.split("```", 1)
    assert '```text title="bad/solver.prototxt"\n' in example
    assert "error[E103] c-style-comment" in output
    assert '```text title="good/solver.prototxt" hl_lines="2"\n' in repair


def test_a_page_shows_the_severity_fix_and_family_of_its_rule(pages: dict[str, str]) -> None:
    assert "| error | safe and unsafe fixes | on | [E:" in pages["rules/E201.md"]
    assert (
        "| advice | safe and unsafe fixes if selected by code or name | off, unless selected | [P:"
        in pages["rules/P201.md"]
    )
    assert "| error | fix by `caffe-lint log` | on | [T:" in pages["rules/T202.md"]
    assert (
        "| option | type | default | meaning |\n|---|---|---|---|\n| `factor` | float, at least 1 | `1000.0` |"
        in pages["rules/D105.md"]
    )


def test_codes_link_to_their_pages_except_in_code(site: ModuleType) -> None:
    linked = site._linked("See G102, `G103` and [G104](x.md); G101 is here, X999 nowhere.", "G101")
    assert linked == "See [G102](G102.md), `G103` and [G104](x.md); G101 is here, X999 nowhere."


def test_a_file_of_several_has_its_name_above_it(pages: dict[str, str]) -> None:
    page = pages["rules/N402.md"]
    assert '```text title="bad/solver.prototxt"\n' in page
    assert '```text title="bad/net.prototxt"\n' in page
    assert "`net.prototxt`:" not in page


def test_the_navigation_names_every_page(site: ModuleType, pages: dict[str, str]) -> None:
    configuration = site.configuration(pages)
    assert [path for path in pages if f'"{path}"' not in configuration] == []


def test_the_site_asks_no_other_host(site: ModuleType) -> None:
    for name in ("rules.js", "rules.css", "mkdocs.yml"):
        assert "//" not in re.sub(r"(?m)^\s*(//|#).*$", "", (site.HERE / name).read_text(encoding="utf-8"))


def test_what_is_built_replaces_what_was_there(site: ModuleType, pages: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "old.md").write_text("old")
    site.build(tmp_path / "docs")
    assert not (tmp_path / "docs" / "old.md").exists()
    assert {str(path.relative_to(tmp_path / "docs" / "source")) for path in (tmp_path / "docs").rglob("*.md")} == set(
        pages
    )
    assert (tmp_path / "docs" / "source" / "assets" / "rules.js").exists()
    assert (tmp_path / "docs" / "source" / "docs" / "pictures" / "terminal.svg").exists()


def test_mkdocs_builds_it_without_a_complaint(site: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed (make docs installs it)")
    site.build(tmp_path / "docs")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        str(tmp_path / "docs" / "mkdocs.yml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"})
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "docs" / "site" / "rules" / "E103.html").read_text(encoding="utf-8")
    assert 'class="hll"' in page
