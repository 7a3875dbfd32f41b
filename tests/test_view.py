"""`caffe-lint view`: what its page says as JSON, and that nothing of a file becomes code. test_view_page.py opens it in a browser."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from drawn_nets import SOLVER, conv, data, densenet, inceptions, layer, lenet, relu, score
from nets import net_of
from test_log_diagnosis import HEAD, NAN, falling, log_of, rising, values
from test_log_diagnosis import NET as LOGGED_NET
from test_log_diagnosis import SOLVER as LOGGED_SOLVER

from caffe_lint import api
from caffe_lint.cli.commands import run
from caffe_lint.cli.console import UsageError
from caffe_lint.net.receptive_field import receptive_fields
from caffe_lint.report.view.folding_layers import folded
from caffe_lint.source.errors import InputError

VENDOR = Path(__file__).parent.parent / "lint" / "report" / "vendor"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run every test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "caffe-lint.toml").write_text("")
    return tmp_path


def page_of(net: str, *arguments: str, solver: str = SOLVER) -> str:
    """The page of a solver with a net."""
    Path("net.prototxt").write_text(net)
    Path("solver.prototxt").write_text(solver)
    assert run(["view", "solver.prototxt", "--output-file", "page.html", *arguments]) == 0
    return Path("page.html").read_text()


def content_of(page: str) -> dict[str, Any]:
    """The JSON in a page."""
    found = re.search(r'<script type="application/json" id="view-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


# -- what is drawn ------------------------------------------------------------------------------------------


def test_a_layer_has_its_window_shapes_costs_field_and_text() -> None:
    (net,) = content_of(page_of(lenet()))["nets"]
    conv2 = next(each for each in net["layers"] if each["name"] == "conv2")
    assert conv2["window"] == {"kernel": [5, 5], "stride": [1, 1], "pad": [2, 2], "dilation": [1, 1], "whole": False}
    assert conv2["tops"] == [{"name": "conv2", "shape": [64, 50, 14, 14], "memory": "own"}]
    assert [(each["role"], each["shape"]) for each in conv2["params"]] == [("weight", [50, 20, 5, 5]), ("bias", [50])]
    assert (conv2["count"], conv2["multiply_adds"], conv2["memory"]) == (
        25050,
        64 * 14 * 14 * 50 * 500,
        64 * 50 * 14 * 14 * 4,
    )
    assert conv2["field"] == {"size": [14, 14], "step": [2, 2], "whole": False}
    assert conv2["text"].startswith('layer { name: "conv2"')
    assert conv2["line"] == 5
    assert conv2["signal"]["activation"][0] > 0
    assert conv2["signal"]["update_ratio"][0] > 0
    ip1 = next(each for each in net["layers"] if each["name"] == "ip1")
    assert ip1["field"]["whole"] is True


def test_what_cannot_be_told_is_null() -> None:
    text = lenet().replace('type: "Convolution" bottom: "pool1"', 'type: "Mystery" bottom: "pool1"')
    content = content_of(page_of(text))
    (net,) = content["nets"]
    mystery = next(each for each in net["layers"] if each["type"] == "Mystery")
    assert (mystery["tops"][0]["shape"], mystery["multiply_adds"], mystery["field"]) == (None, None, None)
    assert (net["multiply_adds"], net["learnable"]) == (None, None)
    assert content["prediction"]["word"] == "cannot tell"
    assert content["prediction"]["cannot_tell"].startswith("Cannot tell: ")
    score_ = next(each for each in net["layers"] if each["name"] == "score")
    assert score_["signal"] is None or score_["signal"]["gradient"] is None


def test_layers_are_connected_by_blobs_and_in_place_layers_are_in_the_chain() -> None:
    text = data() + conv("conv1", "data", 8) + relu("relu1", "conv1") + conv("branch", "conv1", 8)
    text += layer("sum", "Eltwise", "branch conv1") + score("sum")
    (net,) = content_of(page_of(text))["nets"]
    names = [each["name"] for each in net["layers"]]
    edges = {(names[source], names[target]) for source, target, *_ in net["edges"]}
    assert edges == {
        ("data", "conv1"), ("conv1", "relu1"), ("relu1", "branch"), ("relu1", "sum"), ("branch", "sum"), ("sum", "score"),
        ("score", "score_loss"), ("data", "score_loss"),
    }  # fmt: skip
    assert [names[each["host"]] for each in net["layers"] if each["name"] == "relu1"] == ["conv1"]
    assert [(names[source], names[target]) for source, target, _, _, far in net["edges"] if far] == [
        ("data", "score_loss")
    ]


def test_small_layers_are_folded_only_where_nothing_else_reads_what_is_below_them() -> None:
    text = data() + conv("conv1", "data", 8) + layer("bn", "BatchNorm", "conv1") + layer("scale", "Scale", "bn", "bn")
    text += (
        relu("relu", "bn") + layer("sum", "Eltwise", "conv1 bn") + layer("drop", "Dropout", "sum", "sum") + score("sum")
    )
    net = net_of(text)
    names = [each.name for each in net.layers]
    hosts = dict(zip(names, (names[host] for host in folded(net).hosts), strict=True))
    assert (hosts["bn"], hosts["scale"], hosts["relu"], hosts["drop"]) == ("bn", "bn", "bn", "sum")


def test_blocks_and_repetitions_are_found() -> None:
    fold = folded(net_of(inceptions(4)))
    assert [block.title for block in fold.blocks] == [f"inception_{number}" for number in (1, 2, 3, 4)]
    dense = folded(net_of(densenet(6)))
    repeated = [(block.times, block.title) for block in dense.blocks if block.times > 1]
    assert repeated == [(5, f"b{number}_u1 … b{number}_u5") for number in (1, 2, 3)]
    assert max(len(piece.layers) for piece in dense.pieces) <= 5


@pytest.mark.parametrize("text", [lenet(), inceptions(3), densenet(3)], ids=["chain", "branches", "dense"])
def test_every_layer_is_in_one_piece_with_its_readers_in_it_or_after_it(text: str) -> None:
    net = net_of(text)
    fold = folded(net)
    places = {index: number for number, piece in enumerate(fold.pieces) for index in piece.layers}
    assert sorted(places) == sorted({*fold.hosts})
    for edge in fold.edges:
        if not edge.is_far:
            source, target = places[fold.hosts[edge.source]], places[fold.hosts[edge.target]]
            anchor = fold.pieces[target].anchor
            assert source == target or fold.hosts[edge.source] == fold.hosts[anchor]


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (conv("c", "data", 4, 3), (3, 1)),
        (conv("a", "data", 4, 3) + conv("b", "a", 4, 3), (5, 1)),
        (
            layer("p", "Pooling", "data", "", "pooling_param { kernel_size: 2 stride: 2 }") + conv("c", "p", 4, 3),
            (6, 2),
        ),
        (
            layer("d", "Convolution", "data", "", "convolution_param { num_output: 4 kernel_size: 3 dilation: 2 }"),
            (5, 1),
        ),
        (
            layer("p", "Pooling", "data", "", "pooling_param { kernel_size: 2 stride: 2 }")
            + layer("u", "Deconvolution", "p", "", "convolution_param { num_output: 4 kernel_size: 4 stride: 2 }"),
            (4, 1),
        ),
        (conv("a", "data", 3, 1) + conv("b", "data", 3, 5) + layer("s", "Eltwise", "a b"), (5, 1)),
        (layer("n", "LRN", "data"), (1, 1)),
        (layer("n", "LRN", "data", "", "lrn_param { norm_region: WITHIN_CHANNEL }"), None),
        (layer("m", "Mystery", "data"), None),
        (layer("r", "Reshape", "data", "", "reshape_param { shape { dim: 0 dim: -1 } }"), None),
    ],
)
def test_receptive_fields(layers: str, expected: tuple[int, int] | None) -> None:
    net = net_of(data() + layers)
    field = receptive_fields(net).get(net.layers[-1].tops[0])
    assert (None if field is None else (field.height, field.step_h)) == expected


def test_the_nets_of_all_phases_are_there_with_findings_at_their_layers() -> None:
    text = inceptions(2, wrong=True) + layer("accuracy", "Accuracy", "score label", "", "include { phase: TEST }")
    solver = SOLVER.replace("clip_gradients: 10\n", "").replace("0.01", "0.1")
    content = content_of(page_of(text, solver=solver + "test_iter: 1 test_interval: 100\n"))
    assert [net["title"] for net in content["nets"]] == ["TRAIN", "TEST"]
    (loss,) = [each for each in content["nets"][0]["layers"] if each["name"] == "score_loss"]
    found = [content["findings"][number] for number in loss["findings"]]
    assert found
    assert all(each["path"] == "net.prototxt" for each in found)
    assert content["verdicts"][0]["sentence"].startswith("likely to diverge")
    patched = [each for each in content["findings"] if each["patch"]]
    assert any(meaning == "added" for each in patched for meaning, _ in each["patch"])


def test_a_net_alone_is_shown_with_the_solver_that_trains_it() -> None:
    page_of(lenet())
    assert run(["view", "net.prototxt", "-o", "net.html"]) == 0
    content = content_of(Path("net.html").read_text())
    assert [net["title"] for net in content["nets"]] == ["TRAIN"]
    assert content["title"] == "net.prototxt"


def test_the_schedule_is_drawn_where_it_changes() -> None:
    schedule = content_of(page_of(lenet()))["schedule"]
    assert (schedule["policy"], schedule["length"], schedule["stepwise"]) == ("step", 10_000, True)
    assert dict(zip(schedule["iterations"], schedule["rates"], strict=True))[3000] == pytest.approx(0.001)


# -- logs ---------------------------------------------------------------------------------------------------


def logged(*logs: str, solver: bool = True) -> dict[str, Any]:
    """The content of the page for logs of the small net of the tests of logs."""
    Path("net.prototxt").write_text(LOGGED_NET.replace("state { phase: TRAIN }\n", ""))
    Path("solver.prototxt").write_text(LOGGED_SOLVER)
    names = []
    for number, text in enumerate(logs):
        names.append(f"run{number}.log")
        Path(names[-1]).write_text(text)
    options = [word for name in names for word in ("--log", name)]
    assert run(["view", *(["solver.prototxt"] if solver else []), *options, "-o", "page.html"]) == 0
    return content_of(Path("page.html").read_text())


EXPLODING = log_of([*falling(8), *rising(3, 5), values(**NAN)])


def test_a_diverging_log_has_curves_values_and_the_layer_that_is_marked() -> None:
    content = logged(EXPLODING)
    (run_,) = content["runs"]
    assert (run_["iterations"], run_["first_bad"]) == (14, 13)
    assert run_["guilty"] in run_["values"]["layers"]
    loss = next(curve for curve in run_["curves"] if curve["group"] == "loss")
    assert loss["iterations"] == list(range(14))
    assert (loss["values"][0], loss["values"][-1]) == (2.3, "NaN")
    shown = run_["values"]
    assert shown["layers"] == ["data", "ip1", "relu1", "ip2", "loss"]
    assert shown["iterations"] == list(range(14))
    row = dict(zip(shown["layers"], shown["activation"], strict=True))
    assert row["loss"][0] == 2.3
    assert row["ip1"][-1] == "NaN"
    gradients = dict(zip(shown["layers"], shown["param_gradient"], strict=True))
    assert gradients["ip2"][0] == 0.01
    assert gradients["data"] == []
    assert [cause["code"] for cause in run_["causes"]][:1] == ["T201"]


def test_several_logs_are_overlaid_and_one_of_another_training_is_said_to_be() -> None:
    content = logged(log_of(falling(20)), log_of(falling(20), solver=LOGGED_SOLVER.replace("0.01", "0.5")))
    assert [each["title"] for each in content["runs"]] == ["run0.log", "run1.log"]
    assert content["runs"][0]["note"] == ""
    assert "base_lr" in content["runs"][1]["note"]
    assert [len(each["values"]["iterations"]) for each in content["runs"]] == [20, 20]


def test_a_log_alone_shows_the_net_that_is_in_it() -> None:
    content = logged(EXPLODING, solver=False)
    assert [layer_["name"] for layer_ in content["nets"][0]["layers"]] == ["data", "ip1", "relu1", "ip2", "loss"]
    assert content["title"] == "run0.log"


def ratios_of(log: str, *, solver: bool = True) -> tuple[dict[str, list[Any]], str]:
    """The update ratios that a page shows of a log, by layer, and on what they rest."""
    shown = logged(log, solver=solver)["runs"][0]["values"]
    return dict(zip(shown["layers"], shown["update_ratio"], strict=True)), shown["update_basis"]


def test_update_ratios_follow_from_gradients_rates_and_multipliers() -> None:
    steps = [values(ip1_w=0.1, d_ip1_w=0.008), values(ip1_w=0.2, d_ip1_w=0.004, lr=0.005), values(**NAN)]
    ratios, basis = ratios_of(log_of(steps))
    assert ratios["ip1"] == [pytest.approx(0.01 * 0.008 / 0.1), pytest.approx(0.005 * 0.004 / 0.2), "NaN"]
    assert ratios["relu1"] == []
    assert basis == "from the gradient of each iteration and without momentum"
    doubled = LOGGED_NET.replace('"ip1" inner', '"ip1" param { lr_mult: 2 } inner')
    ratios, _ = ratios_of(log_of(steps, net=doubled), solver=False)
    assert ratios["ip1"][0] == pytest.approx(2 * 0.01 * 0.008 / 0.1)


def test_update_ratios_are_those_after_clipping_and_with_weight_decay() -> None:
    solver = LOGGED_SOLVER + "clip_gradients: 0.75\nweight_decay: 0.05\n"
    ratios, _ = ratios_of(log_of([values(norm=1.5)], solver=solver), solver=False)
    assert ratios["ip1"] == [pytest.approx(0.01 * (0.004**2 + 0.005**2) ** 0.5 / 0.1, rel=1e-4)]


def test_printed_updates_are_taken_as_they_are() -> None:
    text = log_of([values()]).replace(
        f"{HEAD}net.cpp:650]",
        f"{HEAD}net.cpp:660]     [Update] Layer ip1, param 0 data: 0.1; diff: 0.0005\n{HEAD}net.cpp:650]",
    )
    ratios, basis = ratios_of(text)
    assert (ratios["ip1"], ratios["ip2"]) == ([pytest.approx(0.005)], [])
    assert basis == "updates as printed in the log"


@pytest.mark.parametrize(
    ("solver", "why"),
    [
        (LOGGED_SOLVER + 'type: "Adam"\n', "updates of Adam depend on all gradients before them"),
        (LOGGED_SOLVER + "iter_size: 4\n", "gradients are added up over 4 passes (iter_size)"),
        (LOGGED_SOLVER + "local_lr_auto: true\n", "LARS sets the learning rate of each layer (local_lr_auto)"),
    ],
)
def test_update_ratios_that_do_not_follow_from_the_log_are_not_told(solver: str, why: str) -> None:
    ratios, basis = ratios_of(log_of(falling(3), solver=solver), solver=False)
    assert all(row == [] for row in ratios.values())
    assert basis == why


def test_update_ratios_need_the_solver_and_the_net() -> None:
    excerpt = "\n".join(
        line for line in log_of(falling(3)).splitlines() if line.startswith(HEAD) and "Initializing" not in line
    )
    ratios, basis = ratios_of(excerpt + "\n", solver=False)
    assert (set(map(tuple, ratios.values())), basis) == ({()}, "the log does not print its solver")
    ratios, _ = ratios_of(excerpt + "\n")  # of the solver that is named, from which it does not differ
    assert ratios["ip1"][0] == pytest.approx(0.01 * 0.008 / 0.1)


def test_a_weight_that_is_frozen_has_no_ratio_whatever_its_bias_does() -> None:
    text = log_of([values()]).replace("Layer ip1, param blob 0 diff", "Layer ip1, param blob 1 diff")
    ratios, _ = ratios_of(text)
    assert (ratios["ip1"], len(ratios["ip2"])) == ([], 1)


def test_files_that_are_no_logs_are_named_and_the_others_are_shown() -> None:
    content = logged(EXPLODING, "no log\n", log_of(falling(20)))
    assert [each["title"] for each in content["runs"]] == ["run0.log", "run2.log"]
    assert content["notes"] == ["run1.log: not a Caffe training log"]
    Path("page.html").unlink()
    for text in ("", "nothing of Caffe\n"):
        with pytest.raises(InputError, match=r"run0\.log: not a Caffe training log"):
            logged(text, solver=False)
    assert not Path("page.html").exists()


def test_a_few_lines_of_debug_info_are_a_log() -> None:
    lines = [line for line in EXPLODING.splitlines() if "[Backward] Layer" in line][-4:]
    (run_,) = logged("\n".join(lines) + "\n", solver=False)["runs"]
    assert (run_["guilty"], run_["guilty_for"]) == ("ip2", "first NaN, in the gradient of ip1")
    assert run_["values"]["layers"] == ["ip2", "relu1", "ip1"]


def test_rules_are_selected_as_for_a_check() -> None:
    solver = SOLVER.replace("clip_gradients: 10\n", "").replace("0.01", "0.1")
    found = {each["code"] for each in content_of(page_of(inceptions(2, wrong=True), solver=solver))["findings"]}
    assert found == {"G101", "G103"}

    def codes(*arguments: str) -> set[str]:
        assert run(["view", "solver.prototxt", "-o", "page.html", *arguments]) == 0
        return {each["code"] for each in content_of(Path("page.html").read_text())["findings"]}

    assert codes("--ignore", "G101") == {"G103"}
    assert codes("--select", "missing-gradient-clipping") == {"G101"}
    assert codes("--select", "S", "--extend-select", "G1", "--ignore", "G103") == {"G101"}
    log = "train.log"
    Path(log).write_text(EXPLODING)
    assert run(["view", "--log", log, "-o", "page.html", "--ignore", "T"]) == 0
    assert content_of(Path("page.html").read_text())["runs"][0]["causes"] == []


def test_the_page_can_be_written_to_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    page = page_of(lenet())
    capfdbinary.readouterr()
    assert run(["view", "solver.prototxt", "-o", "-"]) == 0
    assert capfdbinary.readouterr() == (page.encode(), b"")
    with pytest.raises(UsageError, match="--open needs a file"):
        run(["view", "solver.prototxt", "-o", "-", "--open"])


def test_what_cannot_be_written_or_opened_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page_of(lenet())
    Path("file").touch()
    for target, why in (("missing/page.html", "its folder does not exist"), ("file/page.html", "no folder")):
        with pytest.raises(InputError, match=why):
            run(["view", "solver.prototxt", "-o", target])
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    capsys.readouterr()
    assert run(["view", "solver.prototxt", "-o", "page.html", "--open"]) == 0
    assert capsys.readouterr().err.splitlines()[-1].endswith("no browser could be opened")


def test_sizes_that_are_unknown_are_asked_for() -> None:
    text = lenet().replace(data(64, 28), 'layer { name: "data" type: "Data" top: "data" top: "label" }\n')
    (note,) = [each for each in content_of(page_of(text))["notes"] if "--input-shape" in each]
    assert note.startswith("The files do not give the sizes shown as ?: give them with --input-shape data=")


def test_nothing_to_show_is_an_error_with_a_sentence() -> None:
    with pytest.raises(UsageError, match="name a solver or a net, or a log"):
        run(["view"])
    Path("notes.txt").write_text("nothing of Caffe\n")
    for arguments, why in (
        (["notes.txt"], "neither a solver nor a net"),
        (["missing.prototxt"], "No such file"),
        (["--log", "missing.log"], "No such file"),
    ):
        with pytest.raises(InputError, match=why):
            run(["view", *arguments, "-o", "page.html"])
    assert not Path("page.html").exists()


# -- the page -----------------------------------------------------------------------------------------------

HOSTILE = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>"


def test_nothing_of_a_file_is_code() -> None:
    text = lenet().replace('"conv2"', f'"{HOSTILE}"').replace('name: "LeNet"', f'name: "{HOSTILE}"')
    text += f"# {HOSTILE}\n"
    page = page_of(text)
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "<!--" not in page
    assert any(each["name"] == HOSTILE for each in content_of(page)["nets"][0]["layers"])
    Path("page.html").unlink()
    Path(odd := "a&b'<i>.prototxt").write_text(lenet())
    assert run(["view", odd, "-o", "page.html"]) == 0
    assert "<i>" not in Path("page.html").read_text()


ODD = r"""name: "odd \"net\" \\ & <b>"
layer { name: "a\\nb" type: "Input" top: "da\"ta" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "r<&amp;>" type: "ReLU" bottom: "da\"ta" top: "da\"ta" }
layer { name: "\\" type: "ReLU" bottom: "da\"ta" top: "\001x" }
layer { name: "z" type: "Sigmoid" bottom: "nowhere" top: "z" }
"""


def test_odd_names_are_kept_and_a_blob_that_nothing_makes_has_no_line() -> None:
    Path("odd.prototxt").write_text(ODD)
    assert run(["view", "odd.prototxt", "-o", "page.html"]) == 0
    (net,) = content_of(Path("page.html").read_text())["nets"]
    assert net["name"] == 'odd "net" \\ & <b>'
    assert [each["name"] for each in net["layers"]] == ["a\\nb", "r<&amp;>", "\\", "z"]
    assert [each["bottoms"] for each in net["layers"]] == [[], ['da"ta'], ['da"ta'], ["nowhere"]]
    assert [edge[:2] for edge in net["edges"]] == [[0, 1], [1, 2]]
    assert net["layers"][2]["tops"][0]["name"] == "\\x01x"


def test_control_characters_and_bytes_that_are_no_text_are_visible() -> None:
    Path("net.prototxt").write_bytes(lenet().replace('"conv2"', '"co\u202env\\033[1m"').encode() + b"# \xff\n")
    assert run(["view", "net.prototxt", "-o", "page.html"]) == 0
    names = [each["name"] for each in content_of(Path("page.html").read_bytes().decode())["nets"][0]["layers"]]
    assert "co\\u202env\\x1b[1m" in names


def test_the_page_needs_nothing_else_and_runs_only_its_own_scripts() -> None:
    page = page_of(lenet())
    assert (
        re.findall(r"(?:src|href)=[\"']?(?!data:,)[\w/.:]+", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))
        == []
    )
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert len(re.findall("sha256-", policy[1])) == len(re.findall("<script>", page))


def test_equal_files_give_equal_bytes() -> None:
    first = page_of(inceptions(2))
    assert page_of(inceptions(2)) == first


def test_the_library_is_what_its_authors_published() -> None:
    sums = dict(line.split()[::-1] for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {"dagre.min.js", "LICENSE.dagre"}
    for name, expected in sums.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == expected
    assert "Permission is hereby granted" in page_of(lenet())


def test_a_report_for_the_browser_leads_to_the_drawings() -> None:
    page_of(inceptions(2))
    assert (
        run(["check", "solver.prototxt", "--output-format", "html", "--output-file", "report.html", "--exit-zero"]) == 0
    )
    assert '<a href="report-solver.html">' in Path("report.html").read_text()
    drawn = content_of(Path("report-solver.html").read_text())
    assert drawn == content_of(Path("page.html").read_text())


def test_many_files_get_a_report_without_drawings() -> None:
    Path("nets").mkdir()
    for number in range(6):
        Path(f"nets/{number}.prototxt").write_text(lenet())
    assert run(["check", "nets", "--output-format", "html", "--output-file", "report.html", "--exit-zero"]) == 0
    assert sorted(path.name for path in Path().glob("*.html")) == ["report.html"]


def test_the_page_comes_from_python_too() -> None:
    page = page_of(lenet())
    assert api.view("solver.prototxt") == page
    other = api.view("solver.prototxt", texts={"net.prototxt": lenet().replace("conv2", "second")})
    assert any(each["name"] == "second" for each in content_of(other)["nets"][0]["layers"])
    with pytest.raises(InputError, match="name a solver"):
        api.view()
