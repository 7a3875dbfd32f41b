"""Layer types that a configuration describes, and those that plugins bring."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import check, runner, settings_in

from caffe_lint.cli.commands import cli
from caffe_lint.engine.selection import layer_types
from caffe_lint.layers.custom import Description, described_types, read_description
from caffe_lint.layers.record import TYPES
from caffe_lint.net.build import build
from caffe_lint.net.net import Net
from caffe_lint.net.phases import file_state
from caffe_lint.proto.binder import bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.upgrade import upgrade
from caffe_lint.settings.settings import ConfigError, Settings

INPUTS = """\
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 9 } } }
layer { name: "b" type: "Input" top: "b" input_param { shape { dim: 2 dim: 5 } } }
"""


def described(**tables: dict[str, Any]) -> dict[str, Description]:
    """Descriptions from tables as TOML gives them."""
    return {name: read_description(name, table) for name, table in tables.items()}


def built(text: str, descriptions: dict[str, Description], phase: str = "TRAIN") -> Net:
    """The net of a text."""
    bound = bind(parse(text.encode()), caffe_schema(), "NetParameter")
    upgraded = upgrade(bound.message, caffe_schema())
    types = described_types(descriptions.values())
    return build(upgraded, file_state(upgraded.message, phase), dialect=bound.dialect, described=types)


def shape_of(table: dict[str, Any], blob: str = "t") -> Any:
    """The shape of a top of a layer of a described type with two bottoms."""
    text = INPUTS + 'layer { name: "l" type: "Mine" bottom: "a" bottom: "b" top: "t" }'
    found = built(text, described(Mine=table)).blob(blob)
    assert found is not None
    return found.shape


# -- shapes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("same as bottom 0", (2, 3, 8, 9)),
        ("like bottom 1", (2, 5)),
        ("like bottom 7", None),
        ("scalar", ()),
        ([], ()),
        ("unknown", None),
        ([7, 1], (7, 1)),
        ([0, 64, 0, 0], (2, 64, 8, 9)),
        ([0, "?", 1], (2, None, 1)),
        (["bottom 1 axis 1", "bottom 0 axis -1"], (5, 9)),
        ([0, 0, 0, 0, 0], (2, 3, 8, 9, None)),
    ],
)
def test_the_shape_follows_its_rule(shape: Any, expected: Any) -> None:
    assert shape_of({"shape": shape}) == expected


def test_nothing_is_known_of_a_type_with_an_empty_description() -> None:
    assert shape_of({}) is None


def test_each_top_may_have_a_rule_of_its_own() -> None:
    text = INPUTS + 'layer { name: "l" type: "Mine" bottom: "a" top: "t" top: "u" top: "v" }'
    net = built(text, described(Mine={"shape": ["like bottom 0", [4], "scalar"]}))
    assert [blob.shape for blob in net.layers[2].tops] == [(2, 3, 8, 9), (4,), ()]
    assert net.problems == []
    one_rule = built(text, described(Mine={"shape": [4]}))
    assert [blob.shape for blob in one_rule.layers[2].tops] == [(4,), (4,), (4,)]


def test_layers_after_a_described_type_are_checked_again() -> None:
    text = INPUTS + (
        'layer { name: "l" type: "Mine" bottom: "a" top: "t" }'
        'layer { name: "sum" type: "Eltwise" bottom: "t" bottom: "b" top: "sum" }'
    )
    assert built(text, {}).problems == []
    (problem,) = built(text, described(Mine={"shape": "like bottom 0"})).problems
    assert problem.layer is not None
    assert problem.layer.name == "sum"


# -- counts, parameters, losses --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bottoms", "fits"), [(2, True), (1, False), ("1+", True), ("3+", False), ("1-2", True), ("0-1", False)]
)
def test_the_number_of_bottoms_is_checked(bottoms: Any, fits: bool) -> None:
    text = INPUTS + 'layer { name: "l" type: "Mine" bottom: "a" bottom: "b" top: "t" }'
    kinds = [problem.kind for problem in built(text, described(Mine={"bottoms": bottoms})).problems]
    assert kinds == ([] if fits else ["bottom-count"])


def test_parameters_have_shapes_and_surplus_param_entries_are_reported() -> None:
    text = INPUTS + 'layer { name: "l" type: "Mine" bottom: "a" top: "t" param { lr_mult: 2 } param { } param { } }'
    net = built(text, described(Mine={"params": [[64, "bottom 0 axis 1"], [64]]}))
    assert [param.shape for param in net.layers[2].params] == [(64, 3), (64,)]
    assert (net.layers[2].params[0].lr_mult, net.learnable) == (2, 64 * 3 + 64)
    assert [problem.kind for problem in net.problems] == ["too-many-params"]
    counted = built(text, described(Mine={"params": 3}))
    assert [param.shape for param in counted.layers[2].params] == [None, None, None]
    assert (counted.problems, counted.learnable) == ([], None)
    assert built(text, described(Mine={})).problems == []


def test_a_loss_adds_its_top_with_a_weight_of_1() -> None:
    text = INPUTS + 'layer { name: "l" type: "MyLoss" bottom: "a" bottom: "b" }'
    net = built(text, described(MyLoss={"loss": True}))
    assert [(loss.layer.name, loss.weight, loss.blob.shape) for loss in net.losses] == [("l", 1.0, ())]
    assert built(text, {}).losses == []


def test_a_python_loss_has_the_weight_that_is_written() -> None:
    layer = (
        'layer {{ name: "l" type: "Python" bottom: "a" top: "l" {0}'
        ' python_param {{ module: "losses" layer: "Focal" }} }}'
    )
    mine = {"losses.Focal": read_description("losses.Focal", {"loss": True, "bottoms": 1})}
    unweighted = built(INPUTS + layer.format(""), mine)
    kind = unweighted.layers[2].kind
    assert unweighted.losses == []
    assert kind is not None
    assert kind.is_loss
    weighted = built(INPUTS + layer.format("loss_weight: 2"), mine)
    assert [loss.weight for loss in weighted.losses] == [2]
    assert weighted.losses[0].blob.shape == ()


def test_python_layers_are_distinguished_by_module_and_class() -> None:
    layer = (
        'layer {{ name: "{1}" type: "Python" bottom: "a" top: "{1}" python_param {{ module: "{0}" layer: "{1}" }} }}'
    )
    names = ["one.A", "pkg.two.A", "one.B"]
    text = INPUTS + "".join(layer.format(*name.rsplit(".", 1)) for name in names)
    descriptions = {
        name: read_description(name, {"shape": [size]})
        for name, size in (("one.A", 1), ("pkg.two.A", 2), ("Python", 3))
    }
    assert [made.tops[0].shape for made in built(text, descriptions).layers[2:]] == [(1,), (2,), (3,)]


def test_a_described_data_layer_takes_input_shapes() -> None:
    bound = bind(parse(b'layer { name: "d" type: "MyData" top: "d" top: "l" }'), caffe_schema(), "NetParameter")
    upgraded = upgrade(bound.message, caffe_schema())
    types = described_types(described(MyData={"bottoms": 0, "tops": 2}).values())
    state = file_state(upgraded.message, "TRAIN")
    net = build(upgraded, state, input_shapes={"*": (8, 3), "l": (8,)}, described=types)
    assert [blob.shape for blob in net.blobs()] == [(8, 3), (8,)]


def test_a_type_may_be_like_a_known_one() -> None:
    text = INPUTS + (
        'layer { name: "l" type: "MyConv" bottom: "a" top: "t" convolution_param { num_output: 7 kernel_size: 3 } }'
    )
    net = built(text, described(MyConv={"like": "Convolution"}))
    assert net.layers[2].tops[0].shape == (2, 7, 6, 7)
    assert [param.shape for param in net.layers[2].params] == [(7, 3, 3, 3), (7,)]
    other = built(text, described(MyConv={"like": "Convolution", "shape": "like bottom 0", "params": [[1]]}))
    assert other.layers[2].tops[0].shape == (2, 3, 8, 9)
    assert [param.shape for param in other.layers[2].params] == [(1,)]


@pytest.mark.parametrize("like", ["Sigmoid", "LSTM", "Eltwise"])
def test_a_type_that_is_like_another_has_all_that_is_known_of_it(like: str) -> None:
    (kind,) = described_types(described(Mine={"like": like}).values()).values()
    known = TYPES[like][0]
    asked = ("settings", "reads", "unsaturated", "combines", "recurrent", "value_range", "normalises")
    assert [getattr(kind, name) for name in asked] == [getattr(known, name) for name in asked]
    assert (kind.name, kind.base, known.base) == ("Mine", like, like)


def test_a_recurrent_type_may_be_like_a_known_one() -> None:
    text = (
        'input: "x" input_shape { dim: 4 dim: 2 dim: 3 } input: "c" input_shape { dim: 4 dim: 2 }'
        ' layer { name: "l" type: "MyLSTM" bottom: "x" bottom: "c" top: "t" recurrent_param { num_output: 5 } }'
    )
    net = built(text, described(MyLSTM={"like": "LSTM"}))
    assert net.layers[-1].tops[0].shape == (4, 2, 5)
    assert [param.shape for param in net.layers[-1].params] == [(20, 3), (20,), (20, 5)]


def test_a_description_takes_precedence_over_the_built_in_record() -> None:
    text = INPUTS + 'layer { name: "l" type: "Sigmoid" bottom: "a" top: "t" }'
    assert built(text, described(Sigmoid={"shape": [9]})).layers[2].tops[0].shape == (9,)


# -- the configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("3", "layer type 'Mine': expected a table with the keys bottoms, tops,"),
        ("{ bottom = 1 }", "unknown key 'bottom'; did you mean 'bottoms'?"),
        (
            "{ colour = 1 }",
            "unknown key 'colour'; known keys: bottoms, tops, shape, params, loss, in-place, like",
        ),
        ("{ Cls = { } }", 'quote the name of a Python layer: [layers."Mine.Cls"]'),
        ('{ bottoms = "many" }', "'bottoms' must be a number such as 2, \"1+\" or \"1-3\", not 'many'"),
        ("{ tops = -1 }", "'tops' must be a number"),
        ("{ tops = true }", "'tops' must be a number"),
        ('{ tops = "3-1" }', "'tops' must be a number"),
        ('{ shape = "same" }', '\'shape\' must be "same as bottom N", "scalar", "unknown" or a list'),
        ("{ shape = [1, -1] }", "a dimension of 'shape' must be a number, 0 for that of bottom 0, "),
        ("{ shape = 3 }", "'shape' must be"),
        (
            '{ bottoms = 1, shape = "like bottom 1" }',
            "bottom 1 does not exist; it has at most 1 bottom, numbered from 0",
        ),
        ('{ tops = 1, shape = ["scalar", "scalar"] }', "2 shapes for at most 1 top"),
        ("{ params = [0] }", "'params' must be the number of blobs or a list"),
        ("{ params = [[0]] }", "a dimension of 'params' must be a number greater than 0"),
        ('{ loss = "yes" }', "'loss' must be true or false, not 'yes'"),
        ("{ in-place = 1 }", "'in-place' must be true or false, not 1"),
        ('{ like = "Convolutoin" }', "not 'Convolutoin'; did you mean 'Convolution'?"),
        ('{ like = "ReLU", tops = 1 }', "'like' already sets the numbers of bottoms and tops"),
    ],
)
def test_a_wrong_description_is_explained(tmp_path: Path, table: str, words: str) -> None:
    config = tmp_path / "caffe-lint.toml"
    config.write_text(f"[layers]\nMine = {table}\n")
    with pytest.raises(ConfigError) as error:
        settings_in(str(config))
    assert words in str(error.value)
    assert str(config) in str(error.value)


def test_the_configuration_in_the_documentation_is_right(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[1] / "docs" / "nets.md"
    inputs, layers, _ = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "caffe-lint.toml").write_text(inputs + layers)
    settings = settings_in(str(tmp_path / "caffe-lint.toml"))
    assert settings.input_shapes == {"data": (0, 3, 224, 224)}
    assert "losses.FocalLoss" in settings.layers
    assert settings.layers["ChannelGate"].in_place is True


def test_the_configuration_of_the_module_is_right(tmp_path: Path) -> None:
    from caffe_lint.layers import custom

    lines = (custom.__doc__ or "").split("\n\n")[1].splitlines()
    (tmp_path / "caffe-lint.toml").write_text("\n".join(line for line in lines if "like =" not in line))
    (description,) = settings_in(str(tmp_path / "caffe-lint.toml")).layers.values()
    assert description.name == "SpatialMask"
    assert (description.bottoms, description.tops) == ((2, 2), (1, 1))
    assert (description.loss, description.in_place) == (True, True)


def test_a_described_type_is_not_unknown() -> None:
    text = INPUTS + (
        'layer { name: "l" type: "Mine" bottom: "a" top: "t" }layer { name: "m" type: "Other" bottom: "t" top: "u" }'
    )

    def unknown(**tables: dict[str, Any]) -> list[str]:
        return [found.message for found in check(text, layers=described(**tables)) if found.code == "E116"]

    assert len(unknown()) == 2
    (message,) = unknown(Mine={})
    assert "'Other'" in message
    assert unknown(Mine={}, Other={}) == []


def test_a_described_type_says_nothing_of_the_dialect() -> None:
    text = INPUTS + 'layer { name: "l" type: "Permute" bottom: "a" top: "t" }'
    assert [finding.code for finding in check(text, dialect="bvlc")] == ["E115"]
    assert check(text, dialect="bvlc", layers=described(Permute={"shape": "like bottom 0"})) == []


OF_OWN_TYPE = """\
layer {{ name: "d" type: "Data" top: "data" top: "label" transform_param {{ crop_size: 8 scale: 0.004 }} data_param {{ source: "x" batch_size: 8 }} }}
layer {{ name: "ip1" type: "InnerProduct" bottom: "data" top: "ip1" inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "own" {own} bottom: "ip1" top: "own" }}
layer {{ name: "ip2" type: "InnerProduct" bottom: "own" top: "ip2" inner_product_param {{ num_output: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "l" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "l" }}
"""
OWN = {"Mine": 'type: "Mine"', "losses.Mine": 'type: "Python" python_param { module: "losses" layer: "Mine" }'}


def signal_with(tmp_path: Path, own: str, description: str = "") -> dict[str, Any]:
    """What `signal` says in JSON of a net with a layer of an own type."""
    (tmp_path / "net.prototxt").write_text(OF_OWN_TYPE.format(own=OWN[own]))
    (tmp_path / "solver.prototxt").write_text('net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 1000')
    (tmp_path / "caffe-lint.toml").write_text(description and f'[layers."{own}"]\n{description}\n')
    done = runner().invoke(cli, ["signal", str(tmp_path / "solver.prototxt"), "--output-format", "json"], standalone_mode=False)
    assert done.exception is None
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("own", OWN)
def test_the_remedy_for_a_type_without_a_signal_model_is_one(tmp_path: Path, own: str) -> None:
    unknown = signal_with(tmp_path, own)["cannot_tell"]
    assert unknown["remedy"] == f"describe {own} in the configuration, with a known type that it is like"
    assert signal_with(tmp_path, own, 'like = "Sigmoid"')["verdict"] == "learns"


@pytest.mark.parametrize(
    ("own", "description"),
    [
        ("Mine", 'like = "Sigmoid"\nshape = "same as bottom 0"'),
        ("Mine", 'like = "Sigmoid"\nparams = [[5]]'),
        ("losses.Mine", 'like = "InnerProduct"'),
    ],
)
def test_a_type_with_other_shapes_than_the_one_that_it_is_like_has_no_model_of_it(tmp_path: Path, own: str, description: str) -> None:
    found = signal_with(tmp_path, own, description)["cannot_tell"]
    assert (found["cause"], found["remedy"]) == ("unmodelled layer", "watch the training with caffe-lint log")


@pytest.mark.parametrize("like", ["Convolution", "InnerProduct", "Pooling", "PriorBox", "Scale"])
def test_a_python_layer_is_not_refused_for_the_settings_of_the_type_that_it_is_like(like: str) -> None:
    text = OF_OWN_TYPE.format(own=OWN["losses.Mine"])
    found = check(text, layers=described(**{"losses.Mine": {"like": like}}))
    assert [finding for finding in found if "'own'" in finding.message and finding.code != "E216"] == []


# -- plugins ---------------------------------------------------------------------------------------

PLUGIN = '''\
from caffe_lint.rule.finding import Hit
from caffe_lint.layers.record import layer_type, same_shape
from caffe_lint.rule.registry import rule

layer_type("HouseLayer", bottoms=(1, 1), tops=(1, 1))(same_shape)


@rule("N900", "house-style", subject="net", severity="warning")
def house_style(net):
    """A net without a name.

    ## What it does

    Flags nets without a `name`.

    ## Why is this bad?

    Our logs and snapshots are sorted by the names of nets.

    ## When it is reported

    Always.

    ## References

    Our house rules.
    """
    if not net.net.name:
        yield Hit(net.file, (0, 0), "this net has no name")
'''
EXAMPLE = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 8 } } }\n'
HOUSE_NET = INPUTS + 'layer { name: "l" type: "HouseLayer" bottom: "a" top: "t" }\n'


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with a net, and a plugin that is as good as installed."""
    site = tmp_path / "site"
    for name, module, content in (
        ("house", "house_plugin", PLUGIN),
        ("broken", "broken_plugin", "import nothing_of_this_name\n"),
        ("clash", "clash_plugin", PLUGIN.replace("N900", "E101")),
        ("pageless", "pageless_plugin", PLUGIN.replace("## Why is this bad?\n", "")),
    ):
        site.mkdir(exist_ok=True)
        (site / f"{module}.py").write_text(content)
        for folder, text in (("bad", EXAMPLE), ("good", f'name: "digits"\n{EXAMPLE}')):
            example = site / "examples" / "N900" / folder / "net.prototxt"
            example.parent.mkdir(parents=True, exist_ok=True)
            example.write_text(text)
        info = site / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[caffe_lint.plugins]\n{name} = {module}\n")
    (tmp_path / "net.prototxt").write_text(HOUSE_NET)
    own = tmp_path / "home" / "caffe-lint" / "caffe-lint.toml"
    own.parent.mkdir(parents=True)
    own.write_text('plugins = ["house", "hous", "something", "broken", "clash", "pageless"]\n')
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(folder / "site"), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "caffe_lint", *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": path, "XDG_CONFIG_HOME": str(folder / "home")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done


def codes(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [finding["code"] for finding in json.loads(done.stdout)["findings"]]


def test_a_plugin_that_is_not_enabled_changes_nothing(house: Path) -> None:
    (house / "caffe-lint.toml").write_text("")
    assert codes(run(house, "net.prototxt", "--output-format", "json")) == ["E116"]


def test_a_plugin_brings_types_and_rules(house: Path) -> None:
    (house / "caffe-lint.toml").write_text('plugins = ["house"]\n')
    assert codes(run(house, "net.prototxt", "--output-format", "json")) == ["N900"]
    net = json.loads(run(house, "net", "net.prototxt", "--output-format", "json").stdout)
    assert net["blobs"]["t"] == [2, 3, 8, 9]
    (house / "caffe-lint.toml").write_text('plugins = ["house"]\nignore = ["house-style"]\n')
    assert codes(run(house, "net.prototxt", "--output-format", "json")) == []


def test_rules_of_the_configuration_s_plugins_are_listed_explained_and_selected(house: Path) -> None:
    assert "N900" not in run(house, "rules").stdout
    assert run(house, "explain", "N900").returncode == 2
    (house / "caffe-lint.toml").write_text('plugins = ["house"]\n')
    assert "N900" in run(house, "rules").stdout
    assert "warning[N900] house-style: this net has no name" in run(house, "explain", "N900").stdout
    assert codes(run(house, "net.prototxt", "--select", "house-style", "--output-format", "json")) == ["N900"]
    assert "N900" not in run(house, "rules", "--isolated").stdout


def test_a_plugin_works_in_several_processes_and_only_where_it_is_enabled(house: Path) -> None:
    for name, config in (
        ("with", 'plugins = ["house"]\n'),
        ("also", 'plugins = ["house"]\n'),
        ("without", ""),
    ):
        (house / name).mkdir()
        (house / name / "caffe-lint.toml").write_text(config)
        (house / name / "net.prototxt").write_text(HOUSE_NET)
    for jobs in ("1", "2"):
        done = run(house, "with", "also", "without", "--jobs", jobs, "--output-format", "json")
        assert codes(done) == ["N900", "N900", "E116"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("hous", "plugin 'hous' is not installed; did you mean 'house'?"),
        ("something", "plugin 'something' is not installed; installed plugins: broken, clash, house, pageless"),
        (
            "broken",
            "plugin 'broken' cannot be loaded: ModuleNotFoundError: No module named 'nothing_of_this_name'",
        ),
        ("clash", "plugin 'clash' cannot be loaded: ValueError: rule E101 house-style is registered twice"),
        (
            "pageless",
            "plugin 'pageless' cannot be loaded: ValueError: rule N900: its page has no section 'Why is this bad?'",
        ),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_explained(house: Path, name: str, words: str) -> None:
    (house / "caffe-lint.toml").write_text(f'plugins = ["{name}"]\n')
    done = run(house, "net.prototxt")
    assert done.returncode == 2
    assert words in done.stderr


def test_a_configuration_that_was_found_loads_only_plugins_that_the_user_trusts(house: Path) -> None:
    own = house / "home" / "caffe-lint" / "caffe-lint.toml"
    (house / "caffe-lint.toml").write_text('plugins = ["house"]\n')
    for text in ("", 'plugins = ["other"]\n'):
        own.write_text(text)
        for command in (
            ["net.prototxt"],
            ["net", "net.prototxt"],
            ["rules"],
            ["explain", "N900"],
            [".", "--jobs", "2"],
        ):
            done = run(house, *command)
            assert done.returncode == 2
            assert "plugin 'house' is not loaded, because this file was found, not named" in done.stderr
        named = run(house, "net.prototxt", "--config", "caffe-lint.toml", "--output-format", "json")
        assert codes(named) == ["N900"]
    own.unlink()
    assert run(house, "net.prototxt").returncode == 2
    own.write_text('ignore = ["N9"]\n')
    assert "only a list of 'plugins' may stand in it" in run(house, "net.prototxt").stderr


@pytest.mark.parametrize("path", [None, "", ".", os.pathsep])
def test_nothing_is_imported_from_the_working_folder(tmp_path: Path, path: str | None) -> None:
    for name in ("pathspec", "click", "jinja2", "json", "difflib", "google", "tomllib", "numpy", "lmdb", "planted"):
        (tmp_path / f"{name}.py").write_text("print('planted')\n")
    info = tmp_path / "planted-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: planted\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[caffe_lint.plugins]\nplanted = planted\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "net.prototxt").write_text(HOUSE_NET)
    (tmp_path / "caffe-lint.toml").write_text('exclude = ["old"]\n')
    (tmp_path / "named.toml").write_text('plugins = ["planted"]\n')
    others = ("PYTHONPATH", "COVERAGE_")  # coverage would import before the program does
    environment = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    if path is not None:
        environment["PYTHONPATH"] = path
    for arguments in (
        [".", "--output-format", "html"],
        ["net.prototxt", "--fix", "--diff"],
        [".", "--config", "named.toml"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "caffe_lint", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "planted\n" not in done.stdout
    assert "plugin 'planted' is not installed" in done.stderr


def test_settings_without_plugins_do_not_look_for_any() -> None:
    code = "import caffe_lint.engine.running, caffe_lint.settings.settings, sys; print('importlib.metadata' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert layer_types(Settings()) == frozenset()


@pytest.mark.parametrize(("like", "bottoms"), [("CenterLoss", 'bottom: "data" bottom: "label"'), ("Embed", 'bottom: "label"')])
def test_code_that_is_like_a_layer_with_classes_needs_none(tmp_path: Path, like: str, bottoms: str) -> None:
    """Labels are made up for a simulation, of one class."""
    pytest.importorskip("numpy", reason="the simulator needs numpy")
    (tmp_path / "caffe-lint.toml").write_text(f'[layers."m.L"]\nlike = "{like}"\n')
    (tmp_path / "solver.prototxt").write_text('net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 100\n')
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.004 crop_size: 28 }'
        ' data_param { source: "train" batch_size: 8 } }\n'
        f'layer {{ name: "mine" type: "Python" {bottoms} top: "mine" python_param {{ module: "m" layer: "L" }} }}\n'
    )
    found = run(tmp_path, "simulate", "solver.prototxt")
    assert "Traceback" not in found.stderr
    assert "annot tell" in found.stdout or "simulated training" in found.stdout
