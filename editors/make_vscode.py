"""Write what the VS Code extension takes from the schema: the grammar, with the words of BVLC and of forks, and the snippets.

    python editors/make_vscode.py           # write both
    python editors/make_vscode.py --check   # fail if one would change
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import caffe_lint.layers  # noqa: F401 - the records of layer types
from caffe_lint.layers.skeletons import skeleton
from caffe_lint.proto.schema import caffe_schema

FOLDER = Path(__file__).parent / "vscode"
# The types that people write most often; completion knows all of them.
COMMON = (
    "Convolution", "Pooling", "InnerProduct", "ReLU", "BatchNorm", "Scale", "Dropout", "LRN", "Eltwise", "Concat", "Deconvolution",
    "Input", "Data", "ImageData", "SoftmaxWithLoss", "EuclideanLoss", "Accuracy",
)  # fmt: skip
SOLVER = """\
net: "${1:train_val.prototxt}"
test_iter: ${2:100}
test_interval: ${3:1000}
base_lr: ${4:0.01}
lr_policy: "${5|fixed,step,multistep,exp,inv,poly,sigmoid|}"
momentum: ${6:0.9}
weight_decay: ${7:0.0005}
display: ${8:100}
max_iter: ${9:10000}
snapshot: ${10:5000}
snapshot_prefix: "${11:snapshots/net}"
solver_mode: ${12|GPU,CPU|}"""


def _words(names: set[str]) -> str:
    return "|".join(sorted(names))


def grammar() -> dict[str, Any]:
    """The grammar, with the fields, values and layer types of all messages that solvers and nets have."""
    schema = caffe_schema()
    fields: dict[bool, set[str]] = {True: set(), False: set()}  # by whether only forks have them
    values: dict[bool, set[str]] = {True: set(), False: set()}
    queue = ["SolverParameter", "NetParameter"]
    for name in queue:
        for first in schema.message(name).fields.values():
            for field in first.variants:
                fields[bool(field.dialects)].add(field.name)
                if field.kind == "message" and field.type_name not in queue:
                    queue.append(field.type_name)
                elif field.kind == "enum":
                    for value in field.enum.values:
                        values[bool(field.dialects) or value in field.enum.dialects_of].add(value)
    fields[True] -= fields[False]
    values[True] -= values[False]
    types: dict[bool, set[str]] = {True: set(), False: set()}
    for name, dialects in (schema.layer_types or {}).items():
        types[bool(dialects)].add(name)
    quoted = r"(?<=\btype)(\s*:\s*)"
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "prototxt",
        "scopeName": "source.prototxt",
        "patterns": [{"include": "#statement"}],
        "repository": {
            "statement": {
                "patterns": [
                    {"include": "#comment"},
                    {"include": "#layer-type"},
                    {"include": "#layer"},
                    {"include": "#blob"},
                    {"include": "#field"},
                    {"include": "#value"},
                    {"include": "#punctuation"},
                ]
            },
            "comment": {
                "patterns": [
                    {
                        "match": r"(#)\s*((?i:caffe-lint\s*:\s*(?:file-)?ignore)\s*\[[^\]]*\])?.*$",
                        "name": "comment.line.number-sign.prototxt",
                        "captures": {
                            "1": {"name": "punctuation.definition.comment.prototxt"},
                            "2": {"name": "keyword.control.directive.caffe-lint.prototxt"},
                        },
                    }
                ]
            },
            "layer": {"match": r"\blayers?\b(?=\s*[:{])", "name": "keyword.declaration.layer.prototxt"},
            "layer-type": {
                "patterns": [
                    _layer_type(f"{quoted}((\"|')({_words(types[False])})(\\3))", "entity.name.type.layer.prototxt"),
                    _layer_type(f"{quoted}((\"|')({_words(types[True])})(\\3))", "entity.name.type.layer.fork.prototxt"),
                ]
            },
            "blob": {
                "match": r"\b(bottom|top)(\s*:\s*)((\"|')(?:[^\\]|\\.)*?(\4))",
                "captures": {
                    "1": {"name": "support.type.property-name.prototxt"},
                    "2": {"name": "punctuation.separator.key-value.prototxt"},
                    "3": {"name": "variable.other.blob.prototxt"},
                },
            },
            "field": {
                "patterns": [
                    {"match": rf"\b(?:{_words(fields[False])})\b(?=\s*[:{{<])", "name": "support.type.property-name.prototxt"},
                    {"match": rf"\b(?:{_words(fields[True])})\b(?=\s*[:{{<])", "name": "support.type.property-name.fork.prototxt"},
                    {"match": r"\b[A-Za-z_]\w*\b(?=\s*[:{<])", "name": "variable.other.property.unknown.prototxt"},
                ]
            },
            "value": {
                "patterns": [
                    {
                        "begin": '"',
                        "end": '"|$',
                        "name": "string.quoted.double.prototxt",
                        "patterns": [{"match": r"\\.", "name": "constant.character.escape.prototxt"}],
                    },
                    {
                        "begin": "'",
                        "end": "'|$",
                        "name": "string.quoted.single.prototxt",
                        "patterns": [{"match": r"\\.", "name": "constant.character.escape.prototxt"}],
                    },
                    {"match": r"\b(?:true|false)\b", "name": "constant.language.boolean.prototxt"},
                    {"match": r"(?i)[-+]?\b(?:inf|infinity|nan)f?\b", "name": "constant.numeric.special.prototxt"},
                    {
                        "match": r"(?i)[-+]?(?:\b0x[0-9a-f]+|(?:\b\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?f?)(?!\w)",
                        "name": "constant.numeric.prototxt",
                    },
                    {"match": rf"\b(?:{_words(values[False])})\b", "name": "constant.other.enum.prototxt"},
                    {"match": rf"\b(?:{_words(values[True])})\b", "name": "constant.other.enum.fork.prototxt"},
                ]
            },
            "punctuation": {
                "patterns": [
                    {"match": r"[{}\[\]<>]", "name": "punctuation.section.block.prototxt"},
                    {"match": r":", "name": "punctuation.separator.key-value.prototxt"},
                    {"match": r"[,;]", "name": "punctuation.separator.prototxt"},
                ]
            },
        },
    }


def _layer_type(match: str, scope: str) -> dict[str, Any]:
    return {"match": match, "captures": {"1": {"name": "punctuation.separator.key-value.prototxt"}, "2": {"name": scope}}}


def snippets() -> dict[str, Any]:
    """The snippets: layers of common types, a solver, a rule for a phase, and a suppression."""
    found = {
        f"{name} layer": _snippet([f"layer {name}", name], skeleton(name), f"A new layer of type {name}") for name in COMMON
    }
    found["solver"] = _snippet(["solver"], SOLVER, "A new solver")
    found["phase"] = _snippet(["include", "phase"], "include { phase: ${1|TRAIN,TEST|} }", "Only in a phase")
    found["ignore"] = _snippet(["ignore"], "# caffe-lint: ignore[${1:G101}]", "Suppress a finding of caffe-lint")
    return found


def _snippet(prefix: list[str], body: str, description: str) -> dict[str, Any]:
    return {"prefix": prefix, "body": body.split("\n"), "description": description}


def main() -> None:
    """Write the files, or compare them."""
    for name, content in (("syntaxes/prototxt.tmLanguage.json", grammar()), ("snippets/prototxt.json", snippets())):
        target = FOLDER / name
        text = json.dumps(content, indent=1) + "\n"
        if "--check" in sys.argv[1:]:
            if target.read_text(encoding="utf-8") != text:
                sys.exit(f"{target} is not up to date: python editors/make_vscode.py")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
