"""The page of `caffe-lint view` in a headless Chromium: clicks, keys, colours, runs, hostile names, and accessibility.

Accessibility is checked by axe-core where `make axe` has fetched it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, Page, chromium
from drawn_nets import SOLVER, conv, data, densenet, inceptions, layer, lenet, relu, score
from test_log_diagnosis import SOLVER as LOGGED_SOLVER
from test_log_diagnosis import falling, log_of
from test_view import EXPLODING, HOSTILE, logged, page_of

from caffe_lint.cli.commands import run

AXE = Path(__file__).resolve().parent.parent / ".venvs" / "axe.min.js"
MEASURES = (
    "type",
    "findings",
    "activation",
    "gradient",
    "param_gradient",
    "update_ratio",
    "count",
    "multiply_adds",
    "memory",
)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "caffe-lint.toml").write_text("")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for the tests of this file."""
    if chromium() is None:
        pytest.skip("there is no Chromium to open the page with")
    with Browser() as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab; in the end, nothing was said in its console, and it asked for nothing but itself."""
    tab = browser.page()
    yield tab
    assert tab.said == []
    assert [url for url in tab.requested if not url.startswith(("file:", "blob:", "data:", "about:"))] == []


def middle(page: Page, name: str) -> tuple[float, float]:
    """Where the node of a layer is on the screen."""
    script = """(() => {
      const node = drawing.picture.byId.get(state.shown.nodeOf(state.net.layers.findIndex((layer) => layer.name === NAME)));
      const box = drawing.canvas.getBoundingClientRect(), { x, y, k } = drawing.camera;
      return [box.left + (node.x - x) * k, box.top + (node.y - y) * k];
    })()""".replace("NAME", json.dumps(name))
    x, y = page.run(script)
    return x, y


def text_of(page: Page, selector: str) -> str:
    return str(page.run(f"document.querySelector({json.dumps(selector)}).textContent"))


def test_a_layer_that_is_clicked_is_shown_and_keys_go_on(page: Page) -> None:
    page_of(lenet())
    page.open(Path("page.html"))
    assert page.run("drawing.drawn") == 8
    page.click(*middle(page, "conv2"))
    assert text_of(page, "#card h2") == "conv2"
    shown = text_of(page, "#card")
    assert all(
        words in shown for words in ("5×5", "64×50×14×14", "25.1 k", "14×14 pixels, every 2×2", 'layer { name: "conv2"')
    )
    page.run("document.getElementById('net').focus()")
    page.press("ArrowDown")
    assert text_of(page, "#card h2") == "pool2"
    assert "pool2" in text_of(page, "#said")
    page.press("ArrowDown")
    page.press("u")
    page.settle()
    assert page.run("drawing.picture.nodes.length") == 9
    page.press("Escape")
    assert text_of(page, "#card h2") == "LeNet"


def test_branches_findings_phases_and_colours(page: Page) -> None:
    text = inceptions(4, wrong=True) + layer("accuracy", "Accuracy", "score label", "", "include { phase: TEST }")
    solver = SOLVER.replace("clip_gradients: 10\n", "").replace("0.01", "0.1")
    page_of(text, solver=solver + "test_iter: 1 test_interval: 100\n")
    page.open(Path("page.html"))
    nodes = page.run("drawing.picture.nodes.map(({ x, y, width, height }) => [x, y, width, height])")
    assert len(nodes) == page.run("state.net.layers.filter((layer, index) => layer.host === index).length")
    for number, (x, y, width, height) in enumerate(nodes):
        for other_x, other_y, other_width, other_height in nodes[:number]:
            assert abs(x - other_x) >= (width + other_width) / 2 or abs(y - other_y) >= (height + other_height) / 2
    assert page.run("drawing.picture.edges.every(({ from, to }) => from.y + from.height / 2 < to.y - to.height / 2)")
    page.run("setMeasure('findings')")
    assert page.run("drawing.picture.nodes.some((node) => node.severity)")
    assert "likely to diverge" in text_of(page, "#verdicts")
    for measure in ("activation", "gradient", "param_gradient", "update_ratio", "count", "multiply_adds", "memory"):
        page.run(f"setMeasure('{measure}')")
        assert page.run("drawing.picture.nodes.some((node) => typeof drawing.colouring.valueOf(node) === 'number')"), (
            measure
        )
    page.run("document.querySelectorAll('#phases button')[1].click()")
    page.settle()
    assert page.run("state.net.title") == "TEST"
    assert page.run("state.net.layers.some(({ name }) => name === 'accuracy')")
    page.run("showTab('findings')")
    assert page.run("document.querySelectorAll('#card article').length") == page.run("VIEW.findings.length")


def test_a_thousand_layers_start_collapsed_and_are_found_by_searching(page: Page) -> None:
    page_of(densenet())
    page.open(Path("page.html"))
    assert page.run("state.net.layers.length") >= 990
    assert page.run("drawing.picture.nodes.length") < 30
    page.run("document.getElementById('search').focus()")
    for letter in "b2_u17_3x3":
        page.press(letter)
    assert page.run("document.querySelectorAll('#list li').length") == 1
    page.press("Enter")
    page.settle()
    assert text_of(page, "#card h2") == "b2_u17_3x3"
    assert page.run("drawing.isInSight(drawing.picture.byId.get(drawing.selected))")
    page.run("document.getElementById('folds').click(); document.getElementById('expand').click()")
    page.settle()
    assert page.run("drawing.picture.nodes.length") == page.run("state.net.layers.length")
    assert page.run("drawing.drawn") < 100  # only what is in sight
    page.run("document.getElementById('collapse').click()")
    page.settle()
    assert page.run("drawing.picture.nodes.length") < 30


def test_a_click_into_the_heat_map_colours_the_net_as_it_was_then(page: Page) -> None:
    logged(EXPLODING, log_of(falling(20)))
    page.open(Path("page.html"))
    assert page.run("state.source.values.iterations[state.source.column]") == 13
    assert page.run("[...drawing.guilty.names][0]") == page.run("VIEW.runs[0].guilty")
    x, y = page.run("""(() => {
      const box = heat.canvas.getBoundingClientRect(), { left, top, width, height } = heat.plot;
      const row = heat.rows.findIndex(({ name }) => name === "ip1");
      return [box.left + left + width * 9.5 / heat.columns, box.top + top + height * (row + 0.5) / heat.rows.length];
    })()""")
    page.click(x, y)
    page.settle()
    assert page.run("[state.measure, state.source.column]") == ["activation", 9]
    assert text_of(page, "#iteration-text") == "iteration 9"
    assert text_of(page, "#card h2") == "ip1"
    loss = page.run("drawing.colouring.valueOf(drawing.picture.byId.get(state.shown.nodeOf(4)))")
    assert loss == pytest.approx(6.9)
    page.run("curves.pick(0)")
    assert page.run("state.source.column") == 0
    assert page.run("curves.series.length") == 2


def test_hostile_names_are_only_text_in_the_browser(page: Page) -> None:
    page_of(lenet().replace('"conv2"', f'"{HOSTILE}"'))
    page.run("window.alert = () => { console.error('alerted') }")
    page.open(Path("page.html"))
    page.run("showTab('layers')")
    page.run("goTo(state.net.layers.findIndex((layer) => layer.name.includes('script')))")
    page.settle()
    assert text_of(page, "#card h2") == HOSTILE
    assert page.run("document.querySelectorAll('img').length") == 0


def test_narrow_and_dark(page: Page) -> None:
    page_of(inceptions(2))
    page.open(Path("page.html"), width=390, height=844, dark=True)
    assert page.run("document.documentElement.scrollWidth") <= 390
    assert page.run("drawing.theme.page") == "rgb(13, 17, 23)"
    assert page.run("drawing.drawn") > 0


WRONG = SOLVER.replace("clip_gradients: 10\n", "").replace("0.01", "0.1")


def test_every_colouring_has_a_legend_and_findings_are_named_in_the_nodes(page: Page) -> None:
    page_of(inceptions(2, wrong=True), solver=WRONG)
    page.open(Path("page.html"))
    for measure in MEASURES:
        page.run(f"setMeasure('{measure}')")
        assert page.run("document.querySelectorAll('#legend .key').length") >= 2, measure
    page.run("setMeasure('findings')")
    number = page.run("VIEW.findings.filter(({ severity }) => severity === 'warning').length")
    assert f"warning ({number})" in text_of(page, "#legend")
    codes = page.run("drawing.picture.nodes.filter((node) => node.severity).map((node) => [node.codes, node.width])")
    assert codes
    for words, width in codes:
        assert page.run(f"textWidth({json.dumps(words)}, FONT.text)") <= width - 22


def test_a_finding_in_no_layer_leads_nowhere(page: Page) -> None:
    page_of(inceptions(2, wrong=True), solver=WRONG)
    page.open(Path("page.html"))
    page.run("showTab('findings')")
    links = page.run("[...document.querySelectorAll('.place button')].map((button) => button.textContent)")
    assert links
    assert all(place.startswith("net.prototxt:") for place in links)
    page.run("document.querySelector('.place button').click()")
    page.settle()
    assert page.run("state.net.layers[state.layer].findings.length") > 0


def test_the_address_names_a_layer_of_any_net(page: Page) -> None:
    text = lenet() + layer("accuracy", "Accuracy", "score label", "", "include { phase: TEST }")
    page_of(text, solver=SOLVER + "test_iter: 1 test_interval: 100\n")
    page.open(Path("page.html"), fragment="#conv2")
    assert text_of(page, "#card h2") == "conv2"
    page.run("drawing.choose(null)")
    assert page.run("location.hash") == ""
    page.open(Path("page.html"), fragment="?2#accuracy")
    assert (text_of(page, "#card h2"), page.run("state.net.title")) == ("accuracy", "TEST")
    page.open(Path("page.html"), fragment="?3#%E0%A4%A")
    assert text_of(page, "#card h2") == "LeNet"


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(page: Page) -> None:
    logged(EXPLODING, log_of(falling(20)))
    page.open(Path("page.html"))
    reached = []
    for _ in range(40):
        page.press("Tab")
        reached.append(page.run("document.activeElement.id"))
        assert page.run(
            "document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== 'none'"
        )
    wanted = ["theme", "search", "measure", "folds", "net", "zoom-in", "zoom-out", "fit"]
    wanted += [
        "run",
        "iteration",
        "hide-runs",
        "curve",
        "smoothing",
        "log-scale",
        "unzoom",
        "heat-measure",
        "tab-layer",
        "panel",
    ]
    assert [each for each in dict.fromkeys(reached) if each in wanted] == wanted
    page.run("document.getElementById('net').focus()")
    page.press("Enter")
    assert page.run("document.activeElement.id") == "panel"
    page.press("Escape")
    assert page.run("document.activeElement.id") == "net"
    assert page.run("state.layer !== null")
    page.press("Escape")
    assert page.run("state.layer") is None
    page.run("document.getElementById('tab-layer').focus()")
    page.press("ArrowLeft")
    assert page.run("[document.activeElement.id, state.tab]") == ["tab-layers", "layers"]


def test_the_focus_stays_where_it_was_used(page: Page) -> None:
    logged(EXPLODING, log_of(falling(20)))
    page.open(Path("page.html"))
    page.run("goToName('ip2')")
    for button in ("#card dl button", ".folded button", "#card h2 ~ dl button"):
        page.run(f"(document.querySelector('{button}') || document.getElementById('panel')).focus()")
        page.press("Enter")
        page.settle()
        assert page.run("document.activeElement.id") == "panel", button
    page.run("showTab('layers'); document.querySelectorAll('#list button')[3].focus()")
    page.press("Enter")
    assert page.run("[document.activeElement.id, state.tab, state.layer]") == ["panel", "layer", 3]
    page.run("document.querySelectorAll('#curve-key button')[1].focus()")
    page.press("Enter")
    assert page.run("[curves.series.length, document.activeElement.textContent]") == [1, "run1.log: loss"]
    page.run("document.getElementById('panel').scrollTop = 40")
    scrolled = page.run("document.getElementById('panel').scrollTop")
    page.run("setColumn(0, 2)")
    assert page.run("document.getElementById('panel').scrollTop") == scrolled


def test_the_heat_map_offers_every_signal_and_colours_the_net_by_it(page: Page) -> None:
    logged(EXPLODING, log_of(falling(20)))
    page.open(Path("page.html"))
    for measure in ("gradient", "param_gradient", "update_ratio", "activation"):
        page.run(
            f"const box = document.getElementById('heat-measure'); box.value = '{measure}'; box.dispatchEvent(new Event('change'))".replace(
                "const box = ", "box = "
            )
        )
        assert page.run("[state.measure, heat.measure, heat.rows.length > 0]") == [measure, measure, True]
        assert page.run("document.querySelectorAll('#heat-key .key').length") >= 2
    page.run("setColumn(0, 3)")
    page.run("setMeasure('update_ratio')")
    assert page.run("drawing.colouring.valueOf(drawing.picture.byId.get(state.shown.nodeOf(1)))") == pytest.approx(
        0.0008
    )
    assert "from the gradient of each iteration" in text_of(page, "#legend")
    page.run("setMeasure('type')")
    assert page.run("heat.measure") == "update_ratio"
    page.run("showRun(-1)")
    assert page.run("[state.source.values, heat.column]") == [None, None]
    page.run("document.getElementById('hide-runs').click()")
    assert page.run("document.getElementById('curves').clientHeight") == 0


def test_why_there_are_no_update_ratios_is_said(page: Page) -> None:
    logged(log_of(falling(9), solver=LOGGED_SOLVER + 'type: "Adam"\n'), solver=False)
    page.open(Path("page.html"))
    page.run("setMeasure('update_ratio')")
    assert page.run("heat.nothing") == "cannot tell: updates of Adam depend on all gradients before them"
    assert "updates of Adam depend" in text_of(page, "#legend")


def test_a_log_without_debug_info_or_a_net_shows_its_curves(page: Page) -> None:
    lines = [line for line in log_of(falling(20)).splitlines() if " Iteration " in line]
    logged("\n".join(lines) + "\n", solver=False)
    page.open(Path("page.html"))
    assert page.run("[document.getElementById('tab-layers').hidden, curves.series.length]") == [True, 1]
    assert "2.3 → " in text_of(page, "#card table")
    assert "name the solver" in text_of(page, "#card")
    assert text_of(page, "#no-values") == "run0.log has no debug_info, and so no values of layers."
    page.run("setTheme('dark')")


def test_lines_of_debug_info_alone_are_a_heat_map(page: Page) -> None:
    logged("\n".join(line for line in EXPLODING.splitlines() if " Layer " in line) + "\n", solver=False)
    page.open(Path("page.html"))
    shown = "['curve-box', 'heat-box'].map((id) => document.getElementById(id).getClientRects().length > 0)"
    assert page.run(shown) == [False, True]
    assert page.run("heat.rows.length") > 0


STRANGE = {
    "no layers": 'name: "none"\nlayer { name: "a" type: "Input" top: "a" include { phase: TEST } input_param { shape { dim: 1 } } }',
    "a cycle": layer("a", "ReLU", "b", "a") + layer("b", "ReLU", "a", "b") + layer("b", "ReLU", "b", "a") + relu("self", "s"),
    "names": data() + conv("</script><img onerror=alert(1)>", "data", 8) + relu(r"q\"u'o\nte", "</script><img onerror=alert(1)>")
    + score("</script><img onerror=alert(1)>", "ünï-日本語 \u202e"),
    "broken": 'name: "x" layer { name: "a" type: "Convolution" bottom: "no" top: "a" convolution_param { num_output: } } layer { name "b',
    "no shapes": conv("c1", "data", 8, 3) + relu("r", "c1") + score("c1"),
}  # fmt: skip


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE.keys())
def test_strange_nets_are_drawn_all_the_same(page: Page, text: str) -> None:
    page_of(text)
    for path in ("solver.prototxt", "net.prototxt"):
        assert run(["view", path, "-o", "page.html"]) == 0
        page.open(Path("page.html"), fragment=f"?{path}")
        page.run("for (const measure of Object.keys(MEASURES)) setMeasure(measure); TABS.forEach(showTab)")
        page.run("state.net.layers.forEach((_, index) => goTo(index))")
        page.run("document.getElementById('folds').click(); drawing.fit({ whole: true })")
        page.settle()
        assert page.run("document.querySelectorAll('img').length") == 0


def test_controls_that_would_do_nothing_are_not_shown(page: Page) -> None:
    for text, shown in ((lenet(), [False, True]), (densenet(3), [True, True]), (conv("c", "d", 8), [False, False])):
        page_of(text)
        page.open(Path("page.html"), fragment=f"?{len(text)}")
        seen = "['blocks', 'folds'].map((id) => document.getElementById(id).getClientRects().length > 0)"
        assert page.run(seen) == shown


# -- accessibility ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def axe() -> str:
    """The code of axe-core."""
    if not AXE.exists():
        pytest.skip("there is no axe-core to check pages with: make axe")
    return AXE.read_text(encoding="utf-8")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(page: Page, axe: str, width: int, dark: bool) -> None:
    page_of(inceptions(2, wrong=True), solver=WRONG)
    Path("net.html").write_text(Path("page.html").read_text())
    logged(EXPLODING, log_of(falling(20)), log_of(falling(20), solver=LOGGED_SOLVER.replace("0.01", "0.5")))
    Path("runs.html").write_text(Path("page.html").read_text())
    logged("\n".join(line for line in log_of(falling(20)).splitlines() if " Iteration " in line) + "\n", solver=False)
    found = {}
    for name in ("net.html", "runs.html", "page.html"):
        page.open(Path(name), width=width, height=844, dark=dark)
        for state in (
            "showTab('layer')",
            "goTo(1)",
            "setMeasure('findings'); showTab('findings')",
            "setMeasure('update_ratio')",
            "showTab('layers')",
        ):
            if "goTo" not in state or page.run("VIEW.nets.length"):
                page.run(state)
                page.settle()
                found[name, state] = page.violations(axe)
    assert {place: violations for place, violations in found.items() if violations} == {}
