"""A headless Chromium for tests and benchmarks, spoken to by its DevTools protocol over two pipes."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PATIENCE = 90.0  # seconds for an answer, on a machine that is busy


def chromium() -> str | None:
    """The path of a Chromium, None if there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """A tab. `said` are the messages of its console that are errors or warnings, and exceptions that nobody caught."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.said: list[str] = []
        self.requested: list[str] = []

    def call(self, method: str, **params: Any) -> Any:
        """The result of a method of the protocol."""
        return self._browser.call(method, self._session, **params)

    def open(self, path: Path, *, width: int = 1280, height: int = 860, dark: bool = False, fragment: str = "") -> None:
        """Open a file and wait until its page says that it is ready, and laid out if it has a net."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = "dark" if dark else "light"
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=path.resolve().as_uri() + fragment)
        self.wait(
            "document.documentElement.dataset.ready === 'true' && (!VIEW.nets.length || document.getElementById('net').dataset.nodes)"
        )
        self.settle()

    def settle(self) -> None:
        """Wait until a layout that was asked for is there and painted."""
        self.wait("!VIEW.nets.length || !layout.waiting")
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited if it is a promise."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(f"Boolean((() => {{ try {{ return {condition} }} catch {{ return false }} }})())"):
            assert time.monotonic() < end, f"not so after {PATIENCE:g} s: {condition}\n{self.said}"
            time.sleep(0.05)

    def click(self, x: float, y: float) -> None:
        """Press and release the left button of the mouse."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press and release a key."""
        more = {"text": key} if len(key) == 1 else {"text": "\r"} if key == "Enter" else {}
        if key == "Tab":  # moves the focus only with its code
            more = {"windowsVirtualKeyCode": 9}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def violations(self, axe: str) -> list[str]:
        """What axe-core, whose code that is, finds on the page as it is: the rule, how grave it is, and the first places."""
        self.run(f"(() => {{ if (!window.axe) {{ {axe}\n }} return 1 }})()")
        places = "nodes.slice(0, 3).map(({ target }) => target.join(' '))"
        found = self.run(
            f"axe.run().then(({{ violations }}) => violations.map(({{ id, impact, nodes }}) => [id, impact, {places}]))"
        )
        return [f"{rule} ({impact}): {', '.join(places)}" for rule, impact, places in found]

    def screenshot(self, target: Path, *, whole: bool = False) -> None:
        """Write a picture of the page as PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        target.write_bytes(base64.b64decode(data))


class Browser:
    """A running Chromium, to be used with `with`."""

    def __init__(self) -> None:
        path = chromium()
        assert path is not None
        self._folder = tempfile.mkdtemp(prefix="caffe-lint-chromium-")
        to_it, self._write = os.pipe()
        self._read, from_it = os.pipe()
        os.set_inheritable(to_it, True)
        os.set_inheritable(from_it, True)
        flags = "--headless=new --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --disable-extensions"
        flags += " --disable-background-networking --disable-component-update --disable-dev-shm-usage"
        # It reads commands from descriptor 3 and writes to 4, wherever these come from.
        command = f'exec 3<&{to_it} 4>&{from_it}; exec "$0" "$@"'
        self._process = subprocess.Popen(
            [
                "/bin/bash",
                "-c",
                command,
                path,
                "--remote-debugging-pipe",
                f"--user-data-dir={self._folder}",
                *flags.split(),
                "about:blank",
            ],
            pass_fds=(to_it, from_it),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_it)
        os.close(from_it)
        self._number = 0
        self._rest = b""
        self.events: list[dict[str, Any]] = []
        self._pages: dict[str, Page] = {}

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.call("Browser.close")
            self._process.wait(10)
        except (OSError, AssertionError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._folder, ignore_errors=True)

    def page(self) -> Page:
        """A new tab."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        return page

    def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """The result of a method of the protocol."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def receive(self) -> dict[str, Any]:
        """The next message; events are kept."""
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
            assert ready, "Chromium does not answer"
            block = os.read(self._read, 1 << 20)
            assert block, "Chromium ended"
            self._rest += block
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self._keep(message)
        return message

    def _keep(self, event: dict[str, Any]) -> None:
        page = self._pages.get(event.get("sessionId", ""))
        params = event["params"]
        if event["method"].startswith("Tracing."):
            self.events.append(event)
        elif page is None:
            return
        elif event["method"] == "Runtime.exceptionThrown":
            page.said.append(json.dumps(params["exceptionDetails"]))
        elif event["method"] == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            page.said.append(params["entry"]["text"])
        elif event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            page.said.append(json.dumps(params["args"]))
        elif event["method"] == "Network.requestWillBeSent":
            page.requested.append(params["request"]["url"])
