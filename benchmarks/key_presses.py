"""How long an editor waits for diagnostics: key presses in a net of 2,400 lines, replayed to the language server.

A client opens a solver and a net, writes a layer into the middle of the net key by key, as a person types it, and takes it out again,
a key at a time. Measured is the time from each change to the diagnostics of syntax and structure for it, and from the last one to
those of simulations. The aim is a median of 100 ms and a 95th percentile of 250 ms. What else runs on the machine makes the times
longer; the processor time of the server does not depend on it as much.

    python benchmarks/key_presses.py            # 200 key presses, 60 ms apart
    python benchmarks/key_presses.py --pause 0  # as fast as they come: what is superseded is not answered
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

LAYER = """layer {
  name: "typed"
  type: "Convolution"
  bottom: "block0/relu"
  top: "typed"
  convolution_param { num_output: 32 kernel_size: 3 weight_filler { type: "msra" } }
}
"""
BLOCK = """layer {{
  name: "block{n}/conv"
  type: "Convolution"
  bottom: "{bottom}"
  top: "block{n}/conv"
  convolution_param {{
    num_output: 32
    kernel_size: 3
    pad: 1
    weight_filler {{ type: "msra" }}
  }}
}}
layer {{
  name: "block{n}/bn"
  type: "BatchNorm"
  bottom: "block{n}/conv"
  top: "block{n}/bn"
}}
layer {{
  name: "block{n}/scale"
  type: "Scale"
  bottom: "block{n}/bn"
  top: "block{n}/bn"
  scale_param {{ bias_term: true }}
}}
layer {{
  name: "block{n}/relu"
  type: "ReLU"
  bottom: "block{n}/bn"
  top: "block{n}/relu"
}}
"""
SOLVER = 'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nmomentum: 0.9\nmax_iter: 1000\nsnapshot_prefix: "a"\n'


def net(lines: int) -> str:
    """A net of about so many lines."""
    data = (
        'layer { name: "data" type: "DummyData" top: "data" top: "label"\n'
        "  dummy_data_param { shape { dim: 8 dim: 3 dim: 32 dim: 32 } shape { dim: 8 }\n"
        '    data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" } } }\n'
    )
    blocks, bottom = [], "data"
    while sum(block.count("\n") for block in blocks) < lines - 20:
        blocks.append(BLOCK.format(n=len(blocks), bottom=bottom))
        bottom = f"block{len(blocks) - 1}/relu"
    last = (
        f'layer {{ name: "score" type: "InnerProduct" bottom: "{bottom}" top: "score"\n'
        '  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }\n'
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }\n'
    )
    return data + "".join(blocks) + last


class Session:
    """A client and its server, with the arrival of the diagnostics of each version."""

    def __init__(self) -> None:
        self.client = LanguageClient("benchmark", "1")
        self.arrived: dict[int, list[float]] = {}
        self.any = asyncio.Event()

        @self.client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: lsp.PublishDiagnosticsParams) -> None:
            if params.version is not None and params.uri.endswith("net.prototxt"):
                self.arrived.setdefault(params.version, []).append(time.perf_counter())
                self.any.set()

    async def wait_for(self, version: int, times: int, limit: float) -> float | None:
        """When the diagnostics of a version arrived for that many times; None if they did not within the limit."""
        end = time.perf_counter() + limit
        while len(self.arrived.get(version, ())) < times:
            self.any.clear()
            try:
                await asyncio.wait_for(self.any.wait(), max(end - time.perf_counter(), 0.001))
            except asyncio.TimeoutError:
                return None
        return self.arrived[version][times - 1]


def processor_time(session: Session) -> float | None:
    """The seconds that the server has computed, its other process aside; None where the system does not say."""
    server = session.client._server
    status = Path(f"/proc/{server.pid}/stat") if server is not None else None
    if status is None or not status.exists():
        return None
    fields = status.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(lines: int, keys: int, pause: float) -> None:
    """Replay the keys and print what was measured."""
    session = Session()
    with tempfile.TemporaryDirectory() as folder:
        text = net(lines)
        for name, content in (("net.prototxt", text), ("solver.prototxt", SOLVER)):
            (Path(folder) / name).write_text(content)
        await session.client.start_io(sys.executable, "-m", "caffe_lint", "server")
        await session.client.initialize_async(
            lsp.InitializeParams(capabilities=lsp.ClientCapabilities(), root_uri=Path(folder).as_uri())
        )
        session.client.initialized(lsp.InitializedParams())
        uri = (Path(folder) / "net.prototxt").as_uri()
        document = lsp.TextDocumentItem(uri, "prototxt", 0, text)
        session.client.text_document_did_open(lsp.DidOpenTextDocumentParams(document))
        assert await session.wait_for(0, 2, 60), "the server sends no diagnostics"
        line = text[: text.index('layer {\n  name: "block10/conv"')].count("\n")
        typed = (LAYER * (keys // (2 * len(LAYER)) + 1))[: keys // 2]
        changes = []
        position = lsp.Position(line, 0)
        passed = []
        for character in typed:
            passed.append(position)
            changes.append((lsp.Range(position, position), character))
            position = lsp.Position(position.line + 1, 0) if character == "\n" else lsp.Position(position.line, position.character + 1)
        for before in reversed(passed):
            changes.append((lsp.Range(before, position), ""))
            position = before
        sent = []
        waited = []
        begun = processor_time(session)
        for version, (range_, new) in enumerate(changes, 1):
            sent.append(time.perf_counter())
            session.client.text_document_did_change(
                lsp.DidChangeTextDocumentParams(
                    lsp.VersionedTextDocumentIdentifier(version, uri), [lsp.TextDocumentContentChangePartial(range_, new)]
                )
            )
            if pause:
                arrived = await session.wait_for(version, 1, 10)
                if arrived is not None:
                    waited.append(arrived - sent[-1])
                await asyncio.sleep(max(sent[-1] + pause - time.perf_counter(), 0))
        last = len(changes)
        if begun is not None and (ended := processor_time(session)) is not None:
            print(f"processor time of the server: {1000 * (ended - begun) / last:.0f} ms for each key press, answers included")
        first, second = await session.wait_for(last, 1, 30), await session.wait_for(last, 2, 30)
        if waited:
            waited.sort()
            print(
                f"{text.count(chr(10)):,} lines, {last} key presses: median {statistics.median(waited) * 1000:.0f} ms, "
                f"95th percentile {waited[int(0.95 * len(waited))] * 1000:.0f} ms, worst {waited[-1] * 1000:.0f} ms, "
                f"{len(waited)} answered"
            )
        if first is not None and second is not None:
            print(f"after the last one: structure {1000 * (first - sent[-1]):.0f} ms, stability {1000 * (second - sent[-1]):.0f} ms")
        await session.client.shutdown_async(None)
        session.client.exit(None)
        await session.client.stop()
    print(f"memory of the server and its processes: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MB at most")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=2400)
    parser.add_argument("--keys", type=int, default=200)
    parser.add_argument("--pause", type=float, default=60, help="milliseconds between two key presses; 0: do not wait for answers")
    options = parser.parse_args()
    asyncio.run(measure(options.lines, options.keys, options.pause / 1000))


if __name__ == "__main__":
    main()
