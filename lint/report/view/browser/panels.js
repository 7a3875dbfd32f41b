"use strict";
// The panel beside the drawing: the layer that is selected, the findings, and the list of all layers. Every text of a file is set
// as text, never as HTML.

const row = (name, value, title) => (value === null ? [] : [el("dt", { text: name, title }), typeof value === "string" ? el("dd", { text: value }) : el("dd", {}, value)]);

/** A finding with its note, its line and its patch. `reach` is called with its number, if a layer has it. */
function findingCard(number, reach) {
  const finding = VIEW.findings[number];
  const isInLayer = VIEW.nets.some((net) => net.layers.some((layer) => layer.findings.includes(number)));
  const where = `${finding.path}:${finding.line}`;
  return el("article", { class: `finding ${finding.severity}`, "data-code": finding.code },
    el("h3", {}, el("span", { class: "severity", text: finding.severity }), ` ${finding.code} `, el("span", { class: "dim", text: finding.name })),
    el("p", { text: finding.message }),
    el("p", { class: "place" }, isInLayer ? el("button", { class: "link", text: where, onclick: () => reach(number) }) : el("span", { text: where }),
      finding.confidence === "high" ? null : el("span", { text: `${finding.confidence} confidence` })),
    finding.text ? el("pre", { text: finding.text, tabindex: "0", "aria-label": "line of the file" }) : null,
    finding.reason ? el("p", { class: "note", text: finding.reason }) : null,
    finding.related.length ? el("ul", { class: "related" }, ...finding.related.map(({ path, line, message }) => el("li", { text: `${path}:${line}: ${message}` }))) : null,
    finding.caused_by ? el("p", { class: "note", text: `Explained by ${finding.caused_by}.` }) : null,
    finding.help ? el("details", {}, el("summary", {}, `Help: ${finding.help} `, el("code", { text: finding.safe ? "--fix" : "--fix --unsafe-fixes" })),
      finding.patch.length ? el("pre", { class: "patch", tabindex: "0", "aria-label": "patch" }, ...finding.patch.map(([meaning, line]) => el("span", { class: meaning, text: `${line}\n` }))) : null) : null);
}

/** What is known of a layer. `go(index)` selects another one. */
function layerCard(net, index, { go, colouring, reach }) {
  const layer = net.layers[index];
  const makers = new Map();
  const readers = [];
  for (const [source, target, , bottom] of net.edges) {
    if (target === index) makers.set(bottom, source);
    if (source === index) readers.push(target);
  }
  const link = (other, words) => el("button", { class: "link", text: words, onclick: () => go(other) });
  const slid = layer.window;
  const bottoms = layer.bottoms.map((name, bottom) => el("li", {}, makers.has(bottom) ? link(makers.get(bottom), name) : el("span", { text: `${name} (no layer makes it)` })));
  const tops = layer.tops.map(({ name, shape, memory }) => el("li", {}, el("span", { text: name }), el("span", { class: "dim", text: ` ${shapeText(shape)}${memory === "own" ? "" : `, ${memory}`}` })));
  const field = layer.field;
  const signal = (measure) => {
    if (!applies(layer, measure)) return "none";
    const value = colouring.source.of(layer, measure);
    if (colouring.source.values) return short(value);
    return layer.signal ? sized(layer.signal[measure]) : CANNOT_TELL;
  };
  const where = colouring.source.values ? `iteration ${colouring.source.values.iterations[colouring.source.column]} of ${VIEW.runs[colouring.source.run].title}` : "predicted for iteration 0";
  return el("div", { class: "layer" },
    el("h2", { text: layer.name || "(no name)" }),
    el("p", { class: "dim", text: layer.type }),
    el("dl", {},
      ...row("bottoms", bottoms.length ? el("ul", {}, ...bottoms) : null),
      ...row("tops", tops.length ? el("ul", {}, ...tops) : "none"),
      ...row("read by", readers.length ? el("ul", {}, ...[...new Set(readers)].slice(0, 12).map((other) => el("li", {}, link(other, net.layers[other].name || "(no name)")))) : "nothing"),
      ...(slid ? [
        ...row("kernel", slid.whole ? "the whole image" : sizes(slid.kernel)),
        ...row("stride", sizes(slid.stride)),
        ...row("pad", sizes(slid.pad)),
        ...(slid.dilation.some((size) => size !== 1) ? row("dilation", sizes(slid.dilation)) : []),
      ] : []),
      ...row("outputs", layer.outputs === null ? null : String(layer.outputs)),
      ...row("parameters", layer.params.length ? quantity(layer.count) : "none"),
      ...row("multiply-adds", quantity(layer.multiply_adds), "in one forward pass"),
      ...row("memory", quantity(layer.memory, "B"), "of the values of its tops, in floats"),
      ...row("receptive field", field ? (field.whole ? "the whole input" : `${sizes(field.size)} pixels, every ${sizes(field.step)}`) : CANNOT_TELL),
    ),
    layer.params.length ? el("table", {}, el("caption", { text: "Parameters" }),
      el("thead", {}, el("tr", {}, ...["role", "shape", "lr", "filler"].map((head) => el("th", { scope: "col", text: head })))),
      el("tbody", {}, ...layer.params.map(({ role, shape, lr_mult, filler, shared }) => el("tr", {},
        el("th", { scope: "row", text: role }), el("td", { text: shapeText(shape) }), el("td", { text: `×${lr_mult}` }), el("td", { text: shared ? `shared with ${shared}` : filler }))))) : null,
    net.phase === "TRAIN" && (VIEW.prediction || colouring.source.values) ? el("table", {}, el("caption", { text: `Signal, ${where}` }),
      el("tbody", {}, ...["activation", "gradient", "param_gradient", "update_ratio"].map((measure) => el("tr", {}, el("th", { scope: "row", text: MEASURES[measure].title }), el("td", { text: signal(measure) }))))) : null,
    layer.findings.length ? el("section", { "aria-label": "Findings of this layer" }, ...layer.findings.map((number) => findingCard(number, reach))) : null,
    layer.text ? el("details", { open: true }, el("summary", { text: `prototxt, line ${layer.line}` }), el("pre", { class: "prototxt", tabindex: "0", "aria-label": "prototxt of the layer", text: layer.text })) : null);
}

/** What is known of a collapsed block. */
function blockCard(net, node, { go, toggle }) {
  const sum = (name) => node.layers.map((index) => net.layers[index][name]).reduce((total, value) => (total === null || value === null ? null : total + value), 0);
  return el("div", { class: "layer" },
    el("h2", { text: node.title }),
    el("p", { class: "dim", text: node.subtitle }),
    el("p", {}, el("button", { text: "Expand", onclick: () => toggle(node.block) })),
    el("dl", {}, ...row("parameters", quantity(sum("count"))), ...row("multiply-adds", quantity(sum("multiply_adds"))), ...row("memory", quantity(sum("memory"), "B"))),
    el("ul", { class: "names" }, ...node.layers.map((index) => el("li", {}, el("button", { class: "link", text: net.layers[index].name || "(no name)", onclick: () => go(index) }), el("span", { class: "dim", text: ` ${net.layers[index].type}` })))));
}

/** What became of each run. */
function runsTable() {
  const rows = VIEW.runs.map((run) => {
    const losses = run.curves.find((curve) => curve.group === "loss" && curve.phase === "train");
    const ends = losses ? [losses.values[0], losses.values[losses.values.length - 1]].map(short).join(" → ") : "none";
    const last = losses ? String(losses.iterations[losses.iterations.length - 1]) : "none";
    return el("tr", {}, el("th", { scope: "row", text: run.title }), el("td", { text: last }), el("td", { text: ends }));
  });
  return el("table", {}, el("caption", { text: "Runs" }),
    el("thead", {}, el("tr", {}, ...["log", "last iteration", "loss"].map((head) => el("th", { scope: "col", text: head })))), el("tbody", {}, ...rows));
}

/** All that is shown, when no layer is selected: the net if there is one, the runs and the learning rate. */
function overviewCard(net, chart) {
  const found = VIEW.prediction;
  const folded = net ? net.layers.filter((layer, index) => layer.host !== index).length : 0;
  return el("div", { class: "layer" },
    el("h2", { text: net ? net.name || net.title : VIEW.title }),
    net ? el("p", { class: "dim", text: net.path }) : null,
    !net ? null : el("dl", {},
      ...row("layers", String(net.layers.length) + (folded ? `, ${folded} of them folded into others` : "")),
      ...row("parameters", quantity(net.learnable)),
      ...row("multiply-adds", quantity(net.multiply_adds), "in one forward pass"),
      ...row("memory", quantity(net.memory, "B"), "of the values of all blobs; training also stores their gradients"),
      ...(found && net.phase === "TRAIN" ? [...row("initial loss", sized(found.loss)), ...row("gradient norm", sized(found.gradient_norm))] : []),
    ),
    found && found.cannot_tell ? el("p", { class: "note", text: found.cannot_tell }) : null,
    found && found.assumed.length ? el("p", { class: "note", text: `Assumed: ${found.assumed.join("; ")}.` }) : null,
    ...VIEW.notes.map((note) => el("p", { class: "note", text: note })),
    VIEW.runs.length ? runsTable() : null,
    chart);
}

/** A cause that was found in a log. */
function causeCard(cause, go) {
  return el("article", { class: `finding ${cause.severity}`, "data-code": cause.code },
    el("h3", {}, el("span", { class: "severity", text: cause.severity }), ` ${cause.code} `, el("span", { class: "dim", text: cause.name })),
    el("p", { text: cause.message }),
    cause.layer || cause.iteration !== null ? el("p", { class: "place" }, cause.layer ? el("button", { class: "link", text: `layer ${cause.layer}`, onclick: () => go(cause) }) : null,
      cause.iteration !== null ? el("button", { class: "link", text: ` iteration ${cause.iteration}`, onclick: () => go(cause) }) : null) : null,
    cause.reason ? el("p", { class: "note", text: cause.reason }) : null,
    cause.help ? el("p", { class: "note", text: `Help: ${cause.help}` }) : null,
    cause.evidence.length ? el("pre", { tabindex: "0", "aria-label": "lines of the log", text: cause.evidence.map(([line, words]) => `${line} | ${words}`).join("\n") }) : null);
}
