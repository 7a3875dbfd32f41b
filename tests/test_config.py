"""The configuration: what it takes, what holds for which file, and what `caffe-lint config` says of it."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness import NET, SOLVER, run, settings_in

from caffe_lint.engine.configuring import LOOKUPS
from caffe_lint.engine.selection import codes, options_of
from caffe_lint.proto.parser import parse
from caffe_lint.rule.registry import all_rules
from caffe_lint.rule.suppressions import read_suppressions
from caffe_lint.settings.config_file import KEYS, read_config
from caffe_lint.settings.lookups import Allowed
from caffe_lint.settings.nearest_files import find_config
from caffe_lint.settings.settings import PRESETS, ConfigError, Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# A layer that stands twice (N301), with an axis that is not there (E206).
BAD_NET = NET.replace('name: "loss"', 'name: "score"').replace("num_output: 10", "num_output: 10 axis: 9")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job beside a net alone in models/legacy; each has N301 and E206, the solver S121."""
    (tmp_path / "models" / "legacy").mkdir(parents=True)
    (tmp_path / "models" / "legacy" / "old.prototxt").write_text(BAD_NET)
    (tmp_path / "net.prototxt").write_text(BAD_NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER.replace('"fixed"', '"Fixed"'))
    return tmp_path


def found(folder: Path, *arguments: str) -> list[tuple[str, str]]:
    report = json.loads(run(folder, *arguments, "--output-format", "json").stdout)
    return [(finding["path"], finding["code"]) for finding in report["findings"]]


def configure(folder: Path, text: str) -> None:
    (folder / "caffe-lint.toml").write_text(text)


EVERYTHING = [
    ("models/legacy/old.prototxt", "E206"),
    ("models/legacy/old.prototxt", "N301"),
    ("net.prototxt", "E206"),
    ("net.prototxt", "N301"),
    ("solver.prototxt", "S121"),
]


def test_without_a_configuration_all_is_found(folder: Path) -> None:
    assert sorted(found(folder, ".")) == EVERYTHING


# -- settings of some files ------------------------------------------------------------------------------------------


def test_per_file_ignores_in_the_files_that_its_pattern_fits(folder: Path) -> None:
    configure(folder, '[per-file]\n"models/legacy/**" = {ignore = ["N3"]}\n')
    assert sorted(found(folder, ".")) == [each for each in EVERYTHING if each != ("models/legacy/old.prototxt", "N301")]


def test_patterns_are_relative_to_the_configuration(folder: Path) -> None:
    configure(folder, '[per-file]\n"legacy/*.prototxt" = {ignore = ["ALL"]}\n')
    assert ("models/legacy/old.prototxt", "E206") in found(folder, ".")
    (folder / "caffe-lint.toml").rename(folder / "models" / "caffe-lint.toml")
    assert sorted(found(folder, ".")) == EVERYTHING[2:]
    assert found(folder / "models" / "legacy", "old.prototxt") == []


def test_the_net_of_a_solver_has_its_own_settings(folder: Path) -> None:
    configure(folder, '[per-file]\n"net.prototxt" = {ignore = ["E2"]}\n')
    assert found(folder, "solver.prototxt") == [("net.prototxt", "N301"), ("solver.prototxt", "S121")]
    configure(folder, 'ignore = ["E2"]\n[per-file]\n"solver.prototxt" = {ignore = ["N3", "S1"]}\n')
    assert found(folder, "solver.prototxt") == [("net.prototxt", "N301")]


def test_per_file_may_select_and_sections_add_up(folder: Path) -> None:
    configure(
        folder,
        'select = ["S"]\n[per-file]\n"*.prototxt" = {extend-select = ["N301"]}\n"net.*" = {ignore = ["S"]}\n'
        '"models/**" = {select = ["E"], ignore = ["N"]}\n',
    )
    assert sorted(found(folder, ".")) == [EVERYTHING[0], EVERYTHING[3], EVERYTHING[4]]


def test_per_file_takes_severity_fail_on_options_and_dialect(folder: Path) -> None:
    configure(
        folder,
        '[per-file]\n"solver.prototxt" = {rules.S121.severity = "advice"}\n"net.prototxt" = {fail-on = "error"}\n'
        '"models/**" = {ignore = ["ALL"]}\n',
    )
    (folder / "net.prototxt").write_text(NET.replace('name: "loss"', 'name: "score"'))
    done = run(folder, ".")
    assert (done.returncode, "advice[S121]" in done.stdout, "warning[N301]" in done.stdout) == (0, True, True)
    assert run(folder, ".", "--fail-on", "warning").returncode == 1
    configure(folder, '[per-file]\n"net.prototxt" = {dialect = "ssd"}\n')
    (folder / "net.prototxt").write_text(NET + 'layer { name: "n" type: "Normalize" bottom: "data" top: "n" }\n')
    assert "E115" not in run(folder, "solver.prototxt").stdout
    configure(folder, '[per-file]\n"net.prototxt" = {dialect = "bvlc"}\n')
    assert (
        "net.prototxt:28:25: error[E115] fork-specific: "
        in run(folder, "solver.prototxt", "--output-format", "concise").stdout
    )


def test_they_hold_in_several_processes_too(folder: Path) -> None:
    configure(folder, '[per-file]\n"models/legacy/**" = {ignore = ["N3"]}\n')
    assert found(folder, ".", "--jobs", "2") == found(folder, ".")


# -- presets and severities ------------------------------------------------------------------------------------------


def test_presets_choose_rules_and_the_level_that_counts(folder: Path) -> None:
    off = {code for code, rule in all_rules().items() if not rule.default}
    assert off
    configure(folder, 'preset = "strict"\n')
    strict = settings_in(str(folder / "caffe-lint.toml"))
    assert (off <= codes(strict), strict.fail_on) == (True, "advice")
    configure(folder, 'preset = "stability"\n')
    assert {code[0] for code in codes(settings_in(str(folder / "caffe-lint.toml")))} == {"G"}
    configure(folder, 'preset = "recommended"\n')
    assert settings_in(str(folder / "caffe-lint.toml")) == Settings()


def test_settings_override_the_preset_and_the_command_line_overrides_both(folder: Path) -> None:
    configure(folder, 'preset = "strict"\nfail-on = "error"\nignore = ["ALL"]\nextend-select = ["S121"]\n')
    settings = settings_in(str(folder / "caffe-lint.toml"))
    assert (settings.fail_on, codes(settings)) == ("error", frozenset())
    configure(folder, 'select = ["S"]\nignore = ["N"]\n')
    assert found(folder, ".", "--preset", "stability") == []
    assert found(folder, ".", "--preset", "stability", "--select", "N") == [EVERYTHING[1], EVERYTHING[3]]
    assert ("solver.prototxt", "S121") in found(folder, ".", "--preset", "recommended")


def test_a_severity_decides_on_the_exit_status(folder: Path) -> None:
    assert run(folder, "net.prototxt", "--select", "N301").returncode == 1
    configure(folder, '[rules.duplicate-layer-name]\nseverity = "advice"\n')
    done = run(folder, "net.prototxt", "--select", "N301")
    assert (done.returncode, "advice[N301]" in done.stdout) == (0, True)


# -- what is wrong with it -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("igonre = []", "unknown key 'igonre'; did you mean 'ignore'?"),
        (
            'preset = "strct"',
            "'preset' must be one of recommended, strict, stability, not 'strct'; did you mean 'strict'?",
        ),
        ('fail-on = "never"', "'fail-on' must be one of advice, warning, error, not 'never'"),
        ("baseline = 3", "'baseline' must be a string, not 3"),
        *((f'{key} = "{text}"', f"'{key}' must not be empty") for key in ("baseline", "weights", "dialect") for text in ("", " ")),
        ('caffe-version = ""', "'caffe-version' must not be empty"),
        ('weights = "a.caffemodel,"', "'weights' must be files with a comma between two, not 'a.caffemodel,'"),
        ('[per-file]\n"a/**" = {weights = ""}', "per-file 'a/**': 'weights' must not be empty"),
        ('ignore = "N3"', "'ignore' must be a list of strings, not 'N3'"),
        ('ignore = ["N999"]', "unknown rule 'N999'"),
        ('per-file = "x"', "'per-file' must be a table of patterns"),
        ('[per-file]\n"a/**" = ["N3"]', "per-file 'a/**': expected a table such as"),
        ('[per-file]\n"a/**" = {exclude = []}', "per-file 'a/**': 'exclude' applies to all files"),
        ('[per-file]\n"a/**" = {ignroe = []}', "per-file 'a/**': unknown key 'ignroe'; did you mean 'ignore'?"),
        ('[per-file]\n"a/**" = {ignore = ["high-learnign-rate"]}', "did you mean 'high-learning-rate'?"),
        ('[per-file]\n"!" = {}', "per-file '!': '!' is not a valid .gitignore pattern"),
        ('exclude = ["a/", "b[z-a]"]', "'b[z-a]' is not a valid .gitignore pattern"),
        ("[rules]\nG101 = 3", "'rules.G101' must be a table of options, not 3"),
        ("[rules.G101]\nvalu = 3", "rule G101 has no option 'valu'; did you mean 'value'?"),
        ('[rules.G101]\nvalue = "3"', "option 'value' of rule G101 must be a value like 0.0, not '3'"),
        ("[rules.G101]\nvalue = true", "option 'value' of rule G101 must be a value like 0.0, not true"),
        ("[rules.G102]\ntimes = -1", "option 'times' of rule G102 must be at least 1, not -1"),
        ("[rules.G102]\ntimes = 0.99", "option 'times' of rule G102 must be at least 1, not 0.99"),
        ("[rules.G101]\nvalue = -35.0", "option 'value' of rule G101 must be at least 0, not -35.0"),
        ("[rules.G101]\ndeep = 0", "option 'deep' of rule G101 must be at least 1, not 0"),
        ("[rules.P305]\ntab_width = 101", "option 'tab_width' of rule P305 must be from 1 to 100, not 101"),
        ("[rules.T202]\nshare = 1.5", "option 'share' of rule T202 must be from 0 to 1, not 1.5"),
        ('[per-file]\n"a/**" = {rules.G104.times = -2.0}', "option 'times' of rule G104 must be at least 1, not -2.0"),
        ("[rules.G102]\ntimes = nan", "option 'times' of rule G102 must be a value like 1.0, not nan"),
        ('[rules.G101]\nseverity = "bad"', "'rules.G101.severity' must be one of"),
        ("[rules.G1]\nvalue = 3", "unknown rule 'G1'"),
        ("\udcff = 1", "caffe-lint.toml"),
        ("tool = [", "caffe-lint.toml"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    config = tmp_path / "caffe-lint.toml"
    config.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as error:
        settings_in(str(config))
    assert str(error.value).startswith(str(config))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('dialect = "nvcafe"', "caffe-lint.toml:dialect: unknown dialect 'nvcafe'; did you mean 'nvcaffe'?"),
        ('caffe-version = "x"', "caffe-lint.toml:caffe-version: invalid Caffe version 'x'; expected a version such as 1.0, "),
        ('weights = "a.caffemodel"', "caffe-lint.toml:weights: a.caffemodel: no such file"),
        ('weights = "models"', "caffe-lint.toml:weights: models: not a file"),
        ('baseline = "nope.json"', "caffe-lint.toml:baseline: nope.json: no such baseline; create it with --write-baseline"),
        ('baseline = "net.prototxt"', "caffe-lint.toml:baseline: net.prototxt: "),
        ('[per-file]\n"*" = {dialect = "bvcl"}', "caffe-lint.toml:per-file.'*'.dialect: unknown dialect 'bvcl'; did you mean"),
    ],
)
def test_what_is_found_out_later_is_said_with_file_and_key_too(folder: Path, text: str, words: str) -> None:
    configure(folder, f"{text}\n")
    for arguments in ([], ["config"]):
        done = run(folder, *arguments, "solver.prototxt")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"caffe-lint: {words}")


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--dialect", "bvcl", "unknown dialect 'bvcl'; did you mean 'bvlc'?"),
        ("--weights", "a.caffemodel", "weights: a.caffemodel: no such file"),
        ("--baseline", "nope.json", "nope.json: no such baseline; create it with --write-baseline nope.json"),
    ],
)
def test_of_two_values_the_one_in_force_is_said(folder: Path, option: str, value: str, words: str) -> None:
    configure(folder, f'{option[2:]} = "another"\n')
    done = run(folder, "solver.prototxt", option, value)
    assert (done.returncode, done.stderr) == (2, f"caffe-lint: {words}\n")


def test_of_the_dialects_those_like_an_unknown_one_are_named_and_where_all_are(folder: Path) -> None:
    said = run(folder, "solver.prototxt", "--dialect", "yolo").stderr
    assert "known: mobilenet-yolo, yolov3-windows, caffe-yolov2, caffe-yolo; all " in said
    said = run(folder, "solver.prototxt", "--dialect", "xyz").stderr
    assert "unknown dialect 'xyz'; known: bvlc, ssd, " in said
    table = Path(said.rstrip("\n").rpartition(" are in ")[2])
    assert "\nssd\t" in table.read_text()
    assert len(said) < 300 + len(str(table))


@pytest.mark.parametrize(
    ("text", "value"), [("G102]\ntimes = 1", 1.0), ("T202]\nshare = 1", 1.0), ("T202]\nshare = 0", 0.0), ("P305]\ntab_width = 100", 100)]
)
def test_an_option_may_be_its_limit(tmp_path: Path, text: str, value: float) -> None:
    config = tmp_path / "caffe-lint.toml"
    config.write_text(f"[rules.{text}\n")
    ((option,),) = (options.values() for options in settings_in(str(config)).options.values())
    assert option == value


def test_all_numbers_of_our_rules_have_limits() -> None:
    for code, rule in all_rules().items():
        for name, option in rule.options.items():
            assert option.least is not None, f"{code} {name}"
            assert option.least <= option.default <= (math.inf if option.greatest is None else option.greatest), f"{code} {name}"


@pytest.mark.parametrize("value", [-7, 0.5, 1e300])
def test_an_option_of_a_plugin_needs_no_limits(tmp_path: Path, value: float) -> None:
    config = tmp_path / "caffe-lint.toml"
    config.write_text(f"[rules.theirs]\nsize = {value}\n")
    lookups = LOOKUPS._replace(rule_options=lambda selector: ("X001", {"size": Allowed(1.0)}))
    assert read_config(str(config), lookups, is_named=True).values["options"] == {"X001": {"size": value}}


# -- the command -----------------------------------------------------------------------------------------------------


def shown(folder: Path, *arguments: str) -> dict[str, object]:
    done = run(folder, "config", *arguments, "--output-format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_the_config_command_shows_where_each_setting_comes_from(folder: Path) -> None:
    configure(
        folder,
        'preset = "strict"\nignore = ["P"]\n[rules.high-learning-rate]\nseverity = "advice"\n'
        '[per-file]\n"net.*" = {ignore = ["N3"], rules.G101.value = 3}\n',
    )
    answer = shown(folder, "net.prototxt", "--fail-on", "error", "--ignore", "N4")
    settings = answer["settings"]
    assert settings["ignore"] == {
        "value": ["P", "N3", "N4"],
        "from": ["caffe-lint.toml:ignore", "caffe-lint.toml:per-file.'net.*'.ignore", "command line: --ignore"],
    }
    assert settings["select"] == {"value": ["ALL"], "from": ["caffe-lint.toml:preset strict"]}
    assert settings["fail-on"] == {"value": "error", "from": ["command line: --fail-on"]}
    assert settings["dialect"] == {"value": None, "from": ["default"]}
    rules = answer["rules"]
    assert rules["G102"]["severity"] == {"value": "advice", "from": ["caffe-lint.toml:rules.G102.severity"]}
    assert rules["G101"]["options"]["value"]["value"] == 3.0
    assert rules["G101"]["options"]["value"]["from"] == ["caffe-lint.toml:per-file.'net.*'.rules.G101.value"]
    assert [rules[code]["on"] for code in ("G101", "N301", "N401", "P201", "N201")] == [True, False, False, False, True]
    other = shown(folder, "solver.prototxt")["rules"]
    assert other["N301"]["on"]
    assert other["G101"]["options"]["value"]["from"] == ["default"]


@pytest.mark.parametrize("preset", PRESETS)
def test_the_config_command_prints_an_equivalent_configuration(folder: Path, preset: str) -> None:
    configure(
        folder,
        f'preset = "{preset}"\nignore = ["P"]\ndialect = "ssd"\nexclude = ["x/"]\n[rules.G101]\nseverity = "error"\n'
        "value = 7\n[input-shapes]\ndata = [1, 2]\n",
    )
    printed = run(folder, "config").stdout
    assert set(tomllib.loads(printed)) <= set(KEYS)
    before = settings_in(str(folder / "caffe-lint.toml"))
    configure(folder, printed)
    after = settings_in(str(folder / "caffe-lint.toml"))
    assert after._replace(options={}) == before._replace(options={})
    assert options_of(after, "G101") == options_of(before, "G101")


def test_without_a_configuration_all_is_default(folder: Path) -> None:
    settings = shown(folder, "--isolated")["settings"]
    assert {tuple(each["from"]) for each in settings.values() if "from" in each} == {("default",)}
    assert "no configuration file" in run(folder, "config", "--isolated").stdout


def test_a_missing_path_is_an_error(folder: Path) -> None:
    done = run(folder, "config", "nothing.prototxt")
    assert (done.returncode, done.stderr) == (2, "caffe-lint: nothing.prototxt: no such file or folder\n")


def test_the_documented_configuration_is_valid_and_names_every_key(tmp_path: Path) -> None:
    page = Path(__file__).parent.parent / "docs" / "adopting.md"
    if not page.exists():
        pytest.skip("there is no checkout to look at")
    text = page.read_text(encoding="utf-8")
    (block,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    config = tmp_path / "caffe-lint.toml"
    config.write_text(block, encoding="utf-8")
    read = read_config(str(config), LOOKUPS, is_named=False)
    assert (read.values["extend_select"], len(read.per_file)) == (("P201",), 2)
    table = "".join(re.findall(r"^\| (`[^|]*) \|", text.partition("| key |")[2].partition("## ")[0], re.MULTILINE))
    assert set(re.findall(r"`([\w-]+)`", table)) == set(KEYS)
    (prototxt,) = re.findall(r"```prototxt\n(.*?)```", text, re.DOTALL)
    suppressions = read_suppressions(parse(prototxt.encode()))
    assert (len(suppressions.all), suppressions.mistakes) == (3, ())


def test_every_option_of_a_rule_has_a_plain_default_and_a_meaning() -> None:
    for rule in all_rules().values():
        for name, option in rule.options.items():
            assert type(option.default) in (bool, int, float, str, tuple), (rule.code, name)
            assert option.meaning, (rule.code, name)


def test_a_run_without_configuration_and_suppressions_does_not_load_what_reads_them(folder: Path) -> None:
    (folder / "net.prototxt").write_text(NET)
    code = (
        "import sys; from caffe_lint.cli.main import _run; _run(['net.prototxt']);"
        "print(*sorted({'config_file', 'suppressions', 'unused', 'baseline', 'patterns', 'ignoring'} &"
        " {name.rpartition('.')[2] for name in sys.modules if name.startswith('caffe_lint')}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["net.prototxt: no problem found", "", "No findings, 1 file checked.", ""]


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("[tool.other\n", False),  # broken, and none of our business
        ('[project]\nname = "caffe-lint"\n', False),
        ('[tool.caffe-lint]\nfail-on = "error"\n', True),
        ('[tool]\ncaffe-lint.fail-on = "error"\n', True),
        ('tool."caffe-lint".fail-on = "error"\n', True),
        ('[ "tool" ]\ncaffe-lint = {fail-on = "error"}\n', True),
    ],
)
def test_a_pyproject_holds_where_it_has_a_table_for_us(folder: Path, text: str, ours: bool) -> None:
    (folder / "pyproject.toml").write_text(text)
    assert find_config(str(folder)) == (str(folder / "pyproject.toml") if ours else None)
