// Starts the language server from the Python that was chosen, and shows the net of `caffe-lint view` beside the text.
import * as vscode from "vscode";
import { LanguageClient, type LanguageClientOptions, type ServerOptions } from "vscode-languageclient/node";
import { NetPanel } from "./net_panel";
import { chosenPython } from "./python";

let client: LanguageClient | undefined;

export async function activate(context: vscode.ExtensionContext): Promise<void> {
  const panel = new NetPanel();
  context.subscriptions.push(
    panel,
    vscode.commands.registerCommand("caffe-lint.restart", restart),
    vscode.commands.registerCommand("caffe-lint.view", () => panel.show()),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("caffe-lint")) {
        void restart();
      }
    }),
  );
  await start();
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}

async function restart(): Promise<void> {
  await client?.dispose();
  client = undefined;
  await start();
}

async function start(): Promise<void> {
  const python = await chosenPython();
  const options: ServerOptions = { command: python, args: ["-m", "caffe_lint", "server"] };
  const settings = vscode.workspace.getConfiguration("caffe-lint");
  const clientOptions: LanguageClientOptions = {
    documentSelector: [{ language: "prototxt" }],
    initializationOptions: {
      formatting: settings.get<boolean>("formatting", false),
      select: settings.get<string[]>("select", []),
      ignore: settings.get<string[]>("ignore", []),
      config: settings.get<string>("config", ""),
    },
    synchronize: {
      fileEvents: [
        vscode.workspace.createFileSystemWatcher("**/*.{prototxt,pbtxt,txtpb}"),
        vscode.workspace.createFileSystemWatcher("**/{caffe-lint.toml,pyproject.toml,caffe-lint.data.json}"),
      ],
    },
  };
  client = new LanguageClient("caffe-lint", "caffe-lint", options, clientOptions);
  try {
    await client.start();
  } catch (error) {
    void vscode.window.showErrorMessage(`caffe-lint could not be started from ${python}. Are caffe-lint and pygls installed there?`);
    client.outputChannel.appendLine(String(error));
  }
}
