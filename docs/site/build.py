"""Write the sources of the documentation website: the repository's own pages and one page per rule.

    python docs/site/build.py build/docs
    mkdocs build --strict --config-file build/docs/mkdocs.yml

`make docs` runs both commands. A rule's page is its docstring, with its examples and the linter's output for them.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import caffe_lint.rules  # noqa: F401 - registers them
from caffe_lint.cli.page_examples import printed_for
from caffe_lint.report.rule_page import fenced, repair, sections
from caffe_lint.rule.registry import FAMILIES, Rule, all_rules

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent

# Existing pages, with their titles in the navigation.
GUIDES = {
    "README.md": "caffe-lint",
    "docs/usage.md": "Commands and options",
    "examples/README.md": "Examples",
    "docs/adopting.md": "Adopting caffe-lint in an existing project",
    "docs/security.md": "What a checkout may do",
    "docs/outputs.md": "Output formats and editors",
    "docs/editors.md": "Editors",
    "docs/signal.md": "Predicting whether training diverges",
    "docs/simulation.md": "Simulating a training",
    "docs/schedule.md": "The learning-rate schedule",
    "docs/fleets.md": "Checking very many files",
    "docs/stability.md": "What versions promise",
    "docs/python.md": "Using caffe-lint in Python",
    "docs/view.md": "Looking at nets and training runs",
    "docs/nets.md": "Inspecting nets and describing layers",
    "docs/inputs.md": "Checking input data",
    "docs/log.md": "Diagnosing training logs",
    "docs/speed.md": "Speed and memory",
}
FOR_CONTRIBUTORS = {
    "CONTRIBUTING.md": "Contributing",
    "docs/README.md": "How the code is organized",
    "docs/noise.md": "Precision and recall",
    "benchmarks/README.md": "Benchmarks",
    "CHANGELOG.md": "Changelog",
}
RULES = "rules"
INDEX = "docs/rules.md"
PICTURES = "docs/pictures"

_CODE = re.compile(r"(`[^`]*`|\[[^\]]*\]\([^)]*\))|\b([A-Z]\d{3})\b")


def pages() -> dict[str, str]:
    """Return the pages of the website: path to Markdown text."""
    texts = {}
    others = [str(path.relative_to(CHECKOUT)) for path in sorted((CHECKOUT / "docs").glob("*.md"))]
    others.remove(INDEX)
    for path in dict.fromkeys([*GUIDES, *FOR_CONTRIBUTORS, *others]):
        texts[path] = (CHECKOUT / path).read_text(encoding="utf-8")
    texts[INDEX] = index()
    for code, rule in all_rules().items():
        texts[f"{RULES}/{code}.md"] = rule_page(rule)
    return texts


def rule_page(rule: Rule) -> str:
    """Return the page of a rule."""
    letter = rule.code[0]
    lines = [
        f"# {rule.code} {rule.name}",
        "",
        _linked(rule.summary, rule.code),
        "",
        "| severity | fix | by default | family |",
        "|---|---|---|---|",
        f"| {rule.severity} | {repair(rule)} | {'on' if rule.default else 'off, unless selected'} "
        f"| [{letter}: {FAMILIES[letter]}](../{INDEX}#{letter.lower()}) |",
    ]
    for name, parts in sections(rule, printed_for(rule)).items():
        lines += ["", f"## {name}"]
        for part in parts:
            attributes = f' title="{part.name}"' if part.name else ""
            if part.changed:
                attributes += f' hl_lines="{" ".join(map(str, part.changed))}"'
            lines += ["", fenced(part.text, attributes) if part.is_code else _linked(part.text.rstrip(), rule.code)]
    return "\n".join(lines) + "\n"


def index() -> str:
    """Return the list of rules, one table per family, with links to their pages; rules.js adds the filters."""
    text = (CHECKOUT / INDEX).read_text(encoding="utf-8")
    text = text.replace("<!-- rules -->", '<div id="rule-filters"></div>\n').replace("<!-- end of rules -->", "")
    text = re.sub(r'(?m)^## <a id="(\w)"></a>(.*)$', r"## \2 { #\1 }", text)
    return re.sub(r"(?m)^\| ([A-Z]\d{3}) \| ([\w-]+) \|", rf"| [\1](../{RULES}/\1.md) | [\2](../{RULES}/\1.md) |", text)


def configuration(paths: Iterable[str]) -> str:
    """Return the mkdocs configuration for these pages: mkdocs.yml plus the navigation."""
    by_family = [
        {f"{letter}: {meaning}": [{f"{code} {rule.name}": f"{RULES}/{code}.md"} for code, rule in rules]}
        for letter, meaning in FAMILIES.items()
        if (rules := [item for item in all_rules().items() if item[0][0] == letter])
    ]
    listed = {*GUIDES, *FOR_CONTRIBUTORS, INDEX}
    others = [path for path in paths if path not in listed and not path.startswith(f"{RULES}/")]
    guides = [{name: path} for path, name in GUIDES.items()]
    nav = [
        {"Guide": [*guides, *others]},
        {"Rules": [{"All rules": INDEX}, *by_family]},
        {"Contributing": [{name: path} for path, name in FOR_CONTRIBUTORS.items()]},
    ]
    return f"INHERIT: {HERE / 'mkdocs.yml'}\ndocs_dir: source\nsite_dir: site\nnav: {json.dumps(nav)}\n"


def build(target: Path) -> None:
    """Write the sources and the configuration of the website into a folder, emptying it first."""
    shutil.rmtree(target, ignore_errors=True)
    texts = pages()
    for path, text in texts.items():
        file = target / "source" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    shutil.copytree(CHECKOUT / PICTURES, target / "source" / PICTURES)
    assets = target / "source" / "assets"
    assets.mkdir()
    for name in ("rules.js", "rules.css"):
        shutil.copyfile(HERE / name, assets / name)
    (target / "mkdocs.yml").write_text(configuration(texts), encoding="utf-8")


def _linked(prose: str, own: str) -> str:
    """Turn the codes of other rules into links to their pages."""

    def link(match: re.Match[str]) -> str:
        code = match[2]
        return f"[{code}]({code}.md)" if code and code != own and code in all_rules() else match[0]

    return _CODE.sub(link, prose)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
