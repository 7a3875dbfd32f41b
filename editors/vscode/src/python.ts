// The Python in which caffe-lint is installed.
import * as vscode from "vscode";

interface PythonExtension {
  environments?: { getActiveEnvironmentPath(resource?: vscode.Uri): { path: string } };
}

/** The Python of the setting, else the one chosen in the Python extension, else the first on the PATH. */
export async function chosenPython(): Promise<string> {
  const named = vscode.workspace.getConfiguration("caffe-lint").get<string>("python", "");
  if (named) {
    return named;
  }
  const extension = vscode.extensions.getExtension<PythonExtension>("ms-python.python");
  if (extension) {
    const python = await extension.activate();
    const path = python.environments?.getActiveEnvironmentPath(vscode.window.activeTextEditor?.document.uri).path;
    if (path) {
      return path;
    }
  }
  return process.platform === "win32" ? "python" : "python3";
}
