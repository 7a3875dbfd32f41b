// The page of `caffe-lint view` in a panel beside the text. It shows the layer in which the cursor stands.
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import * as vscode from "vscode";
import { chosenPython } from "./python";

const run = promisify(execFile);
const LAYER = /^\s*layers?\s*[:{]/;
const NAME = /\bname\s*:\s*(["'])(.*?)\1/;

/** The panel; it is made when it is first shown. */
export class NetPanel implements vscode.Disposable {
  private panel: vscode.WebviewPanel | undefined;
  private document: vscode.TextDocument | undefined;
  private readonly watching: vscode.Disposable[];

  constructor() {
    this.watching = [
      vscode.window.onDidChangeTextEditorSelection((event) => this.follow(event.textEditor)),
      vscode.workspace.onDidSaveTextDocument((saved) => (saved === this.document ? void this.draw() : undefined)),
    ];
  }

  dispose(): void {
    this.panel?.dispose();
    for (const each of this.watching) {
      each.dispose();
    }
  }

  async show(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (editor?.document.languageId !== "prototxt") {
      return;
    }
    this.document = editor.document;
    if (!this.panel) {
      const column = { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true };
      this.panel = vscode.window.createWebviewPanel("caffe-lint.view", "Net", column, {
        enableScripts: true,
        localResourceRoots: [],
        retainContextWhenHidden: true,
      });
      this.panel.onDidDispose(() => (this.panel = undefined));
    }
    await this.draw();
    this.follow(editor);
  }

  private async draw(): Promise<void> {
    if (!this.panel || !this.document) {
      return;
    }
    const path = this.document.uri.fsPath;
    const folder = await mkdtemp(join(tmpdir(), "caffe-lint-"));
    const page = join(folder, "net.html");
    try {
      const cwd = vscode.workspace.getWorkspaceFolder(this.document.uri)?.uri.fsPath ?? dirname(path);
      await run(await chosenPython(), ["-m", "caffe_lint", "view", path, "-o", page], { cwd });
      this.panel.webview.html = following(await readFile(page, "utf8"));
    } catch (error) {
      this.panel.webview.html = `<pre>${escaped(String(error))}</pre>`;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  private follow(editor: vscode.TextEditor): void {
    if (this.panel && editor.document === this.document) {
      const layer = layerAt(editor.document, editor.selection.active.line);
      if (layer !== undefined) {
        void this.panel.webview.postMessage({ layer });
      }
    }
  }
}

/** The name of the layer around a line. */
function layerAt(document: vscode.TextDocument, line: number): string | undefined {
  let first = line;
  while (first > 0 && !LAYER.test(document.lineAt(first).text)) {
    first -= 1;
  }
  for (let number = first; number < document.lineCount; number += 1) {
    const text = document.lineAt(number).text;
    if (number > first && LAYER.test(text)) {
      return undefined;
    }
    const name = NAME.exec(text)?.[2];
    if (name !== undefined) {
      return name;
    }
  }
  return undefined;
}

/** The page with a script that goes to the layer that it is told. */
function following(page: string): string {
  const nonce = randomBytes(16).toString("base64");
  const script = 'addEventListener("message", (event) => { location.hash = "#" + encodeURIComponent(event.data.layer); });';
  return page
    .replace("script-src ", `script-src 'nonce-${nonce}' `)
    .replace("</body>", `<script nonce="${nonce}">${script}</script></body>`);
}

function escaped(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
}
