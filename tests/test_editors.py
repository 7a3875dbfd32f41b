"""The configurations for editors: that they can be read, and that Neovim, if it is there, shows what the server says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from harness import NET, SOLVER

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EDITORS = Path(__file__).resolve().parent.parent / "editors"
VSCODE = EDITORS / "vscode"

SCRIPT = """\
dofile(os.getenv("CONFIGURATION"))
vim.cmd("edit net.prototxt")
vim.wait(60000, function() return #vim.diagnostic.get(0) > 0 end, 100)
for _, each in ipairs(vim.diagnostic.get(0)) do
  print(each.lnum + 1, each.col + 1, each.code or each.user_data.lsp.code)
end
vim.api.nvim_win_set_cursor(0, { 17, 12 })
local params = vim.lsp.util.make_position_params()
for _, answer in pairs(vim.lsp.buf_request_sync(0, "textDocument/hover", params, 60000)) do
  print(answer.result.contents.value:match("[^\\n]*"))
end
params = vim.lsp.util.make_range_params()
params.context = { diagnostics = {} }
for _, answer in pairs(vim.lsp.buf_request_sync(0, "textDocument/codeAction", params, 60000)) do
  vim.lsp.util.apply_workspace_edit(answer.result[1].edit, "utf-16")
end
vim.wait(60000, function() return #vim.diagnostic.get(0) == 0 end, 100)
print(#vim.diagnostic.get(0), vim.api.nvim_buf_get_lines(0, 16, 17, false)[1])
vim.cmd("qall!")
"""


def test_neovim_shows_diagnostics_and_hovers_and_applies_a_fix(tmp_path: Path) -> None:
    if shutil.which("nvim") is None:
        pytest.skip("Neovim is not installed")
    (tmp_path / "caffe-lint.toml").write_text("")
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    (tmp_path / "net.prototxt").write_text(NET.replace('bottom: "data"', 'bottom: "dat"'))
    (tmp_path / "script.lua").write_text(SCRIPT)
    python = f"let g:caffe_lint_python = '{sys.executable}'"
    done = subprocess.run(
        ["nvim", "--headless", "-u", "NONE", "--cmd", python, "-c", "luafile script.lua"],
        cwd=tmp_path,
        env={**os.environ, "CONFIGURATION": str(EDITORS / "neovim.lua"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    said = [line.split() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert said[:2] == [["17", "11", "E201"], ["**dat**:", "blob"]]
    assert said[-1] == ["0", "bottom:", '"data"']


def test_the_configurations_of_other_editors_can_be_read() -> None:
    helix = tomllib.loads((EDITORS / "helix.toml").read_text(encoding="utf-8"))
    assert helix["language"][0]["language-servers"] == list(helix["language-server"])
    sublime = re.sub(r"(?m)^\s*//.*$", "", (EDITORS / "sublime.sublime-settings").read_text(encoding="utf-8"))
    commands = [[helix["language-server"]["caffe-lint"]["command"], *helix["language-server"]["caffe-lint"]["args"]]]
    commands.append(json.loads(sublime)["clients"]["caffe-lint"]["command"])
    assert all(command == ["python3", "-m", "caffe_lint", "server"] for command in commands)


def test_the_parentheses_of_emacs_are_balanced() -> None:
    text = (EDITORS / "emacs.el").read_text(encoding="utf-8")
    text = re.sub(r'"(?:[^"\\]|\\.)*"|\?\\?.|;[^\n]*', "", text)
    depth = 0
    for character in re.findall(r"[()]", text):
        depth += 1 if character == "(" else -1
        assert depth >= 0
    assert depth == 0


def test_what_vs_code_takes_from_the_schema_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(EDITORS / "make_vscode.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_extension_names_files_that_are_there_and_no_registry() -> None:
    package = json.loads((VSCODE / "package.json").read_text(encoding="utf-8"))
    contributes = package["contributes"]
    paths = [each["path"] for each in (*contributes["grammars"], *contributes["snippets"])]
    paths += [each["configuration"] for each in contributes["languages"]]
    assert [path for path in paths if not (VSCODE / path).is_file()] == []
    lock = (VSCODE / "package-lock.json").read_text(encoding="utf-8")
    assert "resolved" not in lock
    assert json.loads(lock)["packages"][""]["devDependencies"] == package["devDependencies"]


def test_the_page_of_view_has_what_the_panel_needs() -> None:
    """The panel adds a script to the page, which tells it the layer in its address."""
    report = EDITORS.parent / "lint" / "report"
    assert "script-src " in (report / "templates" / "view.html.j2").read_text(encoding="utf-8")
    assert 'addEventListener("hashchange"' in (report / "view" / "browser" / "page.js").read_text(encoding="utf-8")
    panel = (VSCODE / "src" / "net_panel.ts").read_text(encoding="utf-8")
    assert '.replace("script-src "' in panel
    assert "location.hash" in panel


def test_the_extensions_settings_are_those_of_the_server() -> None:
    from caffe_lint.server.language_server import asked_by

    given = {"select": ["G"], "ignore": ["G101"], "config": "a.toml", "formatting": True}
    asked = asked_by(given)
    assert (asked.select, asked.ignore, asked.config) == (("G",), ("G101",), "a.toml")
    properties = json.loads((VSCODE / "package.json").read_text(encoding="utf-8"))["contributes"]["configuration"]["properties"]
    assert {name.removeprefix("caffe-lint.") for name in properties} == {"python", *given}
