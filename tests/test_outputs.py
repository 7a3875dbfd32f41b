"""Reports for other programs and for browsers: valid in their format, and true to what was found.

SARIF is held against its JSON schema where `make sarif-schema` has fetched it.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import harness
import pytest
from harness import NET, check_files, run

from caffe_lint.report import FORMATS, Summary, render
from caffe_lint.report.fingerprints import fingerprints

SCHEMA = Path(__file__).resolve().parent.parent / ".venvs" / "sarif-2.1.0.json"

# The policy is misspelt.
SOLVER = harness.SOLVER.replace('"fixed"', '"Fixed"')
# Two layers of unknown types on one line, behind characters that take two units in UTF-16, and more of them below.
WIDE = NET + """\
layer { name: "\N{GRINNING FACE}\N{GRINNING FACE}" type: "Relu" bottom: "score" top: "a" } # \N{GRINNING FACE}
layer { name: "b" type: "Relu" bottom: "score" top: "b" }
"""


def reports(texts: dict[str, str | bytes], format: str, **values: Any) -> str:
    findings = check_files(texts)
    sources = {name: text.encode() if isinstance(text, str) else text for name, text in texts.items()}
    return render(format, findings, Summary(sources, **values))


def sarif(texts: dict[str, str | bytes], **values: Any) -> dict[str, Any]:
    """The only run of a report."""
    (run,) = json.loads(reports(texts, "sarif", **values))["runs"]
    assert isinstance(run, dict)
    return run


def cli(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "caffe_lint", *arguments], cwd=folder, capture_output=True, check=False, encoding="utf-8"
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


# SARIF


@pytest.mark.skipif(not SCHEMA.exists(), reason="the JSON schema is not there: make sarif-schema")
@pytest.mark.parametrize(
    "texts",
    [
        {"solver.prototxt": SOLVER, "net.prototxt": NET},
        {"net.prototxt": WIDE},
        {"net.prototxt": b"\xef\xbb\xbf" + WIDE.encode().replace(b"\n", b"\r\n")},
        {"n\udcff% #.prototxt": WIDE.encode("utf-8").replace(b"score", b"sc\xffre")},
        {"net.prototxt": b"layer { name: '\xff' type: 'Relu' \x01 bottom: 'a' top: 'b'"},
        {"net.prototxt": NET.replace("num_output: 10", "num_output: 18446744073709551616")},
    ],
    ids=["solver", "wide characters", "BOM and CRLF", "no UTF-8", "broken", "huge number"],
)
def test_sarif_is_valid_against_its_schema(texts: dict[str, str | bytes]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    text = reports(texts, "sarif", errors=("nothing could be written",), docs_url="https://example.org/")
    assert json.loads(text)["runs"][0]["results"]
    jsonschema.validators.validator_for(schema)(schema).validate(json.loads(text))
    text.encode("utf-8").decode("utf-8")


def test_sarif_columns_are_utf16_units() -> None:
    results = sarif({"net.prototxt": WIDE})["results"]
    regions = [
        result["locations"][0]["physicalLocation"]["region"]
        for result in results
        if "'Relu'" in result["message"]["text"]
    ]
    first, second = regions
    line = WIDE.splitlines()[first["startLine"] - 1].encode("utf-16-le")
    assert line[2 * (first["startColumn"] - 1) : 2 * (first["endColumn"] - 1)].decode("utf-16-le") == '"Relu"'
    assert first["startColumn"] == second["startColumn"] + 3  # four units of two characters, against one


def applied(source: bytes, fixes: list[dict[str, Any]]) -> bytes:
    """The text after replacements, by what SARIF says they mean."""
    starts = [0, *(match.end() for match in re.finditer(b"\n", source))]

    def offset(line: int, column: int) -> int:
        start = starts[line - 1]
        skip = 3 if start == 0 and source.startswith(b"\xef\xbb\xbf") else 0
        text = source[start + skip :].decode("utf-8", "surrogateescape").encode("utf-16-le", "surrogatepass")
        before = text[: 2 * (column - 1)].decode("utf-16-le", "surrogatepass")
        return start + skip + len(before.encode("utf-8", "surrogateescape"))

    edits = []
    for fix in fixes:
        for replacement in fix["artifactChanges"][0]["replacements"]:
            region = replacement["deletedRegion"]
            content = replacement.get("insertedContent", {})
            if "byteOffset" in region:
                start = region["byteOffset"]
                edits.append((start, start + region["byteLength"], base64.b64decode(content["binary"])))
            else:
                start = offset(region["startLine"], region["startColumn"])
                end = offset(region["endLine"], region["endColumn"])
                edits.append((start, end, content.get("text", "").encode()))
    for start, end, new in sorted(edits, reverse=True):
        source = source[:start] + new + source[end:]
    return source


@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", "# \N{GRINNING FACE}\n".encode(), b"# \xff\r\n"])
@pytest.mark.parametrize("behind", [b"", " # \N{GRINNING FACE}".encode(), b" # \xff"])
def test_fixes_in_sarif_give_what_fix_gives(tmp_path: Path, before: bytes, behind: bytes) -> None:
    line = b'lr_policy: "Fixed"'
    source = before + SOLVER.encode().replace(line, b"# \xe2\x82\xac\n" + line + behind)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_bytes(source)
    report = json.loads(cli(tmp_path, "solver.prototxt", "--output-format", "sarif").stdout)
    fixes = [fix for result in report["runs"][0]["results"] for fix in result.get("fixes", ())]
    cli(tmp_path, "solver.prototxt", "--fix")
    fixed = (tmp_path / "solver.prototxt").read_bytes()
    assert b'"fixed"' in fixed
    assert applied(source, fixes) == fixed


def test_sarif_paths_are_relative_to_the_repository_and_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "a b#%"
    folder.mkdir()
    (tmp_path / ".git").mkdir()
    (folder / "net.prototxt").write_text(WIDE)
    (run,) = json.loads(cli(folder, "net.prototxt", "--output-format", "sarif").stdout)["runs"]
    location = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert location == {"uri": "a%20b%23%25/net.prototxt", "uriBaseId": "%SRCROOT%", "index": 0}
    assert run["artifacts"][0]["location"]["uri"] == location["uri"]
    base = run["originalUriBaseIds"]["%SRCROOT%"]["uri"]
    assert base.endswith("/")
    assert unquote_to_bytes(base) == f"file://{tmp_path.resolve()}/".encode()


def test_sarif_rules_bring_their_pages() -> None:
    run = sarif({"net.prototxt": WIDE})
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        rule = rules[result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        assert "## Example" in rule["help"]["markdown"]


def test_sarif_links_rules_to_the_site_of_their_pages(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(WIDE)
    (tmp_path / "caffe-lint.toml").write_text('docs-url = "https://example.org/lint/"\n')
    (run,) = json.loads(cli(tmp_path, "net.prototxt", "--output-format", "sarif").stdout)["runs"]
    assert run["tool"]["driver"]["informationUri"] == "https://example.org/lint/"
    rules = run["tool"]["driver"]["rules"]
    assert [rule["helpUri"] for rule in rules] == [f"https://example.org/lint/rules/{rule['id']}.html" for rule in rules]


def test_the_site_has_to_be_an_address(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(WIDE)
    (tmp_path / "caffe-lint.toml").write_text('docs-url = "docs/"\n')
    done = cli(tmp_path, "net.prototxt")
    assert done.returncode == 2
    assert "'docs-url' must be a URL" in done.stderr


def test_sarif_reports_errors() -> None:
    assert sarif({"net.prototxt": NET})["invocations"] == [
        {"executionSuccessful": True, "toolExecutionNotifications": []}
    ]
    (invocation,) = sarif({"net.prototxt": NET}, errors=("a file could not be read",))["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"] == {"text": "a file could not be read"}


# Fingerprints


def test_fingerprints_survive_moved_lines_and_are_all_different() -> None:
    def of(text: str) -> list[str]:
        return fingerprints(check_files({"net.prototxt": text}), ".")

    twice = WIDE + WIDE.splitlines()[-1].replace('name: "b"', 'name: "c"').replace('top: "b"', 'top: "c"') + "\n"
    before = of(twice)
    assert len(set(before)) == len(before) == 3
    assert of("# a line\n\n" + twice.replace("  bottom", "    bottom")) == before
    assert set(of(WIDE)) < set(before)


# GitHub


def test_github_commands_hold_together() -> None:
    name = "a,b:c%.prototxt"
    lines = reports({name: WIDE.replace('name: "b"', 'name: "100%\\n,::"')}, "github").splitlines()
    assert len(lines) == len(check_files({name: WIDE}))
    for line in lines:
        match = re.fullmatch(r"::(error|warning|notice) ([^:]*)::(.*)", line)
        assert match is not None
        properties = dict(pair.split("=", 1) for pair in match[2].split(","))
        assert unquote_to_bytes(properties["file"]).decode() == name
        assert properties["title"].split()[0] in unquote_to_bytes(match[3]).decode()
        assert int(properties["line"]) > 0


def test_a_dash_is_standard_output_in_all_commands(tmp_path: Path) -> None:
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    (tmp_path / "net.prototxt").write_text(NET)
    for words in (["solver.prototxt"], ["solver.prototxt", "--output-format", "html"], ["log", "none.log"], ["view", "net.prototxt"]):
        (tmp_path / "none.log").write_text("I0101 10:00:00.000000 1 solver.cpp:228] Iteration 0, loss = 2.3\n")
        done = run(tmp_path, *words, "-o", "-")
        assert done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {"solver.prototxt", "net.prototxt", "none.log"}


def test_no_findings_are_no_github_commands() -> None:
    assert render("github", [], Summary({"net.prototxt": b""})) == ""


# GitLab


def test_gitlab_paths_are_those_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.prototxt").write_text(WIDE)
    issues = json.loads(cli(tmp_path / "models", "net.prototxt", "--output-format", "gitlab").stdout)
    assert {issue["location"]["path"] for issue in issues} == {"models/net.prototxt"}
    assert {issue["severity"] for issue in issues} <= {"info", "minor", "major", "critical", "blocker"}
    assert len({issue["fingerprint"] for issue in issues}) == len(issues)
    assert any(issue["location"]["lines"]["begin"] == NET.count("\n") + 1 for issue in issues)


def test_no_findings_are_an_empty_list_for_gitlab() -> None:
    assert json.loads(render("gitlab", [], Summary({}))) == []


# JUnit


def test_junit_is_read_by_others(tmp_path: Path) -> None:
    junitparser = pytest.importorskip("junitparser")
    findings = check_files({"net.prototxt": WIDE})
    path = tmp_path / "report.xml"
    summary = Summary({"net.prototxt": WIDE.encode(), "clean.prototxt": b""}, errors=("no & such <file>",))
    path.write_text(render("junit", findings, summary), encoding="utf-8")
    read = junitparser.JUnitXml.fromfile(str(path))
    suites = {suite.name: suite for suite in read}
    failing = sum(finding.severity != "advice" for finding in findings)
    assert (read.tests, read.failures, read.errors) == (len(findings) + 2, failing, 1)
    assert suites["clean.prototxt"].failures == 0
    cases = list(suites["net.prototxt"])
    assert [case.result[0].message for case in cases if case.result[0].type == "error"] == [
        finding.message for finding in findings if finding.severity == "error"
    ]
    (errors,) = suites["caffe-lint"]
    assert errors.result[0].message == "no & such <file>"


def test_junit_fails_at_the_level_that_counts() -> None:
    findings = check_files({"net.prototxt": WIDE})
    summary = Summary({}, fail_on={"net.prototxt": "error"})
    root = ElementTree.fromstring(render("junit", findings, summary).encode())
    assert int(root.attrib["failures"]) == sum(finding.severity == "error" for finding in findings)
    assert int(root.attrib["skipped"]) == sum(finding.severity != "error" for finding in findings)


def test_junit_holds_no_character_that_xml_forbids() -> None:
    named = 'name: "\x01\x0b]]>&" '
    text = reports({"n\udcff.prototxt": WIDE.replace('name: "b" ', named).encode()}, "junit")
    assert "]]>&" in "".join(ElementTree.fromstring(text.encode("utf-8")).itertext())


# HTML


class Reading(HTMLParser):
    """What a browser would do with a page: the text it shows, the tags, and what it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [value or "" for name, value in attrs if name in ("src", "href") and not (value or "").startswith("#")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_self_contained_and_shows_everything() -> None:
    texts: dict[str, str | bytes] = {"solver.prototxt": SOLVER, "net.prototxt": WIDE}
    page = Reading(reports(texts, "html"))
    findings = check_files(texts)
    assert page.loads == []
    assert page.tags.count("article") == len(findings)
    for finding in findings:
        assert finding.message in page.text
        assert finding.reason in page.text
    assert '-lr_policy: "Fixed"' in page.text
    assert '+lr_policy: "fixed"' in page.text


def test_names_cannot_write_into_the_page() -> None:
    name = "<script>alert(1)</script>"
    page = Reading(reports({f"{name}.prototxt": WIDE.replace('name: "b"', f'name: "{name}"')}, "html"))
    assert page.tags.count("script") == 1
    assert name in page.text


def test_a_long_line_is_shown_around_its_place() -> None:
    text = WIDE + "# " + "x" * 50_000 + "\n" + 'layer { name: "c" bottom: "score" top: "c" type: "Relu" } # ' + "y" * 50_000
    page = reports({"net.prototxt": text}, "html")
    assert "<mark>&#34;Relu&#34;</mark>" in page
    assert len(page) < len(reports({"net.prototxt": WIDE}, "html")) + 20_000


# All of them


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_takes_bytes_that_are_no_text(format: str) -> None:
    text = b"# \xff\xfe \xed\xa0\x80\n" + WIDE.encode().replace(b'"b"', b'"\xff\x1b[31m"')
    report = reports({"n\udcff.prototxt": text}, format)
    assert "Relu" in report
    report.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_there_for_data(tmp_path: Path, format: str) -> None:
    data = 'layer { name: "data" type: "ImageData" top: "data" top: "label" image_data_param { source: "no.txt" } }\n'
    (tmp_path / "net.prototxt").write_text(data)
    done = cli(tmp_path, "inputs", "net.prototxt", "--output-format", format)
    assert done.returncode == 1, done.stderr
    assert "D101" in done.stdout
    if format in ("json", "sarif", "gitlab"):
        json.loads(done.stdout)


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_there_for_logs(tmp_path: Path, format: str) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER.replace("Fixed", "fixed"))
    (tmp_path / "train.log").write_text(
        "I0101 00:00:00.000000 1 solver.cpp:48] Initializing solver from parameters:\n"
        'base_lr: 0.01\nmax_iter: 100\nlr_policy: "fixed"\n'
        + "".join(
            f"I0101 00:00:0{number}.000000 1 solver.cpp:228] Iteration {number * 20}, loss = {loss}\n"
            f"I0101 00:00:0{number}.000000 1 sgd_solver.cpp:106] Iteration {number * 20}, lr = 0.01\n"
            for number, loss in enumerate(("2.3", "870", "3e9", "nan", "nan"))
        )
    )
    done = cli(tmp_path, "log", "train.log", "--solver", "solver.prototxt", "--output-format", format)
    assert done.returncode == 1, done.stderr
    assert re.search(r"T\d{3}", done.stdout)
    if format in ("json", "sarif", "gitlab"):
        json.loads(done.stdout)


def test_statistics_are_json_where_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(WIDE, encoding="utf-8")
    done = cli(tmp_path, "net.prototxt", "--select", "E116", "--statistics", "--output-format", "json")
    (only,) = json.loads(done.stdout)["rules"]
    assert only == {"code": "E116", "name": "unknown-layer-type", "severity": "error", "count": 2, "fixable": 2}
