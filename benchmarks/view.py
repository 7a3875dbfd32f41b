"""The page of `caffe-lint view` in a headless Chromium: size, first paint, full layout, panning; and its layout library.

    python benchmarks/view.py              first paint, layout and panning of a DenseNet of 1,000 layers and of Inception blocks
    python benchmarks/view.py --layouts    dagre, elkjs and viz.js on a DenseNet and on Inception blocks, fetched with npm

The bounds: first paint with blocks collapsed within 1 s, the layout of all layers within 5 s, a frame of panning at most 8 ms of
scripts, styles and layout (95th percentile), no task over 50 ms. Of panning, it is the processor time of the page's thread, so that
other work on the machine does not count; the other times are those of a clock.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from browser import Browser, Page, chromium  # noqa: E402 - after its folder is on the path
from drawn_nets import SOLVER, densenet, inceptions, lenet  # noqa: E402

NETS = {"LeNet": lenet(), "Inception blocks (8)": inceptions(8), "DenseNet, 990 layers": densenet(36)}
FRAMES = 120
WORK = {
    "FunctionCall",
    "EvaluateScript",
    "UpdateLayoutTree",
    "Layout",
    "FireAnimationFrame",
    "EventDispatch",
    "PrePaint",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", action="store_true", help="compare layout libraries")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.layouts:
            return compare_layouts(Path(folder))
        if chromium() is None:
            print("there is no Chromium to open pages with")
            return 0
        with Browser() as browser:
            for name, net in NETS.items():
                measure(browser, name, _page_of(net, Path(folder)))
    return 0


def _page_of(net: str, folder: Path) -> Path:
    (folder / "net.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(SOLVER)
    command = [sys.executable, "-m", "caffe_lint", "view", "solver.prototxt", "-o", "page.html"]
    subprocess.run(command, cwd=folder, check=True, stderr=subprocess.DEVNULL)
    return folder / "page.html"


def measure(browser: Browser, name: str, path: Path) -> None:
    page = browser.page()
    page.open(path)
    first = page.run("performance.getEntriesByName('caffe-lint-laid-out')[0].startTime")
    print(f"{name}: {path.stat().st_size / 1e6:.2f} MB; drawn with blocks as at first after {first:.0f} ms")
    for what, clicks in (("blocks expanded", "expand"), ("all layers, none folded", "folds")):
        started = time.perf_counter()
        page.run(f"document.getElementById('{clicks}').click()")
        page.settle()
        nodes = page.run("drawing.picture.nodes.length")
        print(f"  {what}: {nodes} nodes laid out and drawn after {(time.perf_counter() - started) * 1e3:.0f} ms")
    for what, view in (("readable", "drawing.fit()"), ("whole net", "drawing.fit({ whole: true })")):
        page.run(view)
        page.settle()
        frames, longest = panned(browser, page)
        drawn = page.run("drawing.drawn")
        frames.sort()
        print(
            f"  panning, {what} ({drawn} nodes in sight): {len(frames)} frames, "
            f"p95 {frames[int(len(frames) * 0.95)]:.1f} ms, longest task {longest:.1f} ms"
        )
    print("  console:", page.said or "silent")


def panned(browser: Browser, page: Page) -> tuple[list[float], float]:
    """The work of each frame while the drawing is panned, and the longest task, in ms, from a trace."""
    browser.events.clear()
    browser.call(
        "Tracing.start",
        transferMode="ReportEvents",
        traceConfig={"includedCategories": ["devtools.timeline", "toplevel"]},
    )
    page.run(f"""new Promise((done) => {{
      let left = {FRAMES};
      const step = () => {{
        drawing.canvas.dispatchEvent(new WheelEvent("wheel", {{ deltaX: 3, deltaY: left % 60 < 30 ? 40 : -40, cancelable: true }}));
        left -= 1;
        if (left) requestAnimationFrame(step); else done(1);
      }};
      requestAnimationFrame(step);
    }})""")
    browser.call("Tracing.end")
    while not any(event["method"] == "Tracing.tracingComplete" for event in browser.events):
        browser.receive()
    events = [
        each
        for event in browser.events
        if event["method"] == "Tracing.dataCollected"
        for each in event["params"]["value"]
    ]
    tasks = [each for each in _of_main_thread(events) if each["name"] in ("RunTask", "ThreadControllerImpl::RunTask")]
    frames = []
    for task in tasks:
        inside = [each for each in events if _is_inside(each, task)]
        if any(each["name"] == "FireAnimationFrame" for each in inside):
            frames.append(sum(_outermost(inside)) / 1e3)
    return frames or [0.0], max((_processor_time(task) / 1e3 for task in tasks), default=0.0)


def _processor_time(event: dict[str, Any]) -> float:
    return float(event.get("tdur", event["dur"]))


def _of_main_thread(events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The events of the thread on which the page's frames run."""
    threads = {(each["pid"], each["tid"]) for each in events if each["name"] == "FireAnimationFrame"}
    return (each for each in events if (each["pid"], each["tid"]) in threads and each.get("ph") == "X")


def _is_inside(event: dict[str, Any], task: dict[str, Any]) -> bool:
    same = event.get("tid") == task["tid"] and event.get("pid") == task["pid"] and event.get("ph") == "X"
    return same and event is not task and task["ts"] <= event["ts"] <= task["ts"] + task["dur"]


def _outermost(events: list[dict[str, Any]]) -> Iterator[float]:
    """The durations of scripts, styles and layout, without those inside another."""
    end = 0
    for event in sorted((each for each in events if each["name"] in WORK), key=lambda each: (each["ts"], -each["dur"])):
        if event["ts"] >= end:
            end = event["ts"] + event["dur"]
            yield _processor_time(event)


# -- layout libraries ---------------------------------------------------------------------------------------

LIBRARIES = {
    "@dagrejs/dagre": "dist/dagre.min.js",
    "elkjs": "lib/elk.bundled.js",
    "@viz-js/viz": "dist/viz-global.js",
}


def compare_layouts(folder: Path) -> int:
    """Print the size of each library, and the time that it takes for whole nets, layer by layer."""
    from caffe_lint.api import Session

    if shutil.which("npm") is None:
        print("there is no npm to fetch the libraries with")
        return 0
    _install(folder, *LIBRARIES)
    for name, build in LIBRARIES.items():
        about = json.loads((folder / "node_modules" / name / "package.json").read_text(encoding="utf-8"))
        size = (folder / "node_modules" / name / build).stat().st_size
        print(f"{name} {about['version']}, {about['license']}: {size / 1e3:,.0f} kB")
    graphs = {}
    for name, text in (("DenseNet", densenet(36)), ("Inception blocks", inceptions(70))):
        (folder / "net.prototxt").write_text(text)
        net = Session().nets(str(folder / "net.prototxt")).nets[0].net
        edges = [
            (blob.producer.index, layer.index)
            for layer in net.layers
            for blob in layer.bottoms
            if blob.producer is not None
        ]
        graphs[name] = {"nodes": len(net.layers), "edges": edges}
    (folder / "graphs.json").write_text(json.dumps(graphs))
    shutil.copy(HERE / "layouts.cjs", folder)
    return subprocess.run(["node", "layouts.cjs"], cwd=folder, check=False).returncode


def _install(folder: Path, *packages: str) -> None:
    subprocess.run(
        ["npm", "install", "--silent", "--no-save", "--prefix", str(folder), *packages], check=True, cwd=folder
    )


if __name__ == "__main__":
    sys.exit(main())
