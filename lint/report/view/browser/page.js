"use strict";
// The page: its state, and what happens when something is chosen.

const $ = (id) => document.getElementById(id);
const state = { net: null, shown: null, measure: "type", source: new Source(), node: null, layer: null, tab: "layer" };
const shownNets = new Map();

const drawing = new Drawing($("net"), {
  select: (node) => selectNode(node),
  toggle: (block) => toggleBlock(block),
  open: () => $("panel").focus(),
  unfold: (node) => unfold(node),
  enclose: (node) => enclose(node),
});
const layout = new Layout((progress, failure) => {
  const bar = $("progress");
  bar.hidden = progress === null;
  if (progress !== null) bar.value = progress;
  if (failure) say(`The layout failed: ${failure}`);
});

const say = (words) => { $("said").textContent = words; };

// -- nets, blocks and layers --------------------------------------------------------------------------------

function showNet(net, { keeps = null } = {}) {
  state.net = net;
  if (!shownNets.has(net)) shownNets.set(net, new Shown(net));
  state.shown = shownNets.get(net);
  for (const button of $("phases").children) button.setAttribute("aria-pressed", String(VIEW.nets[button.dataset.number] === net));
  state.node = state.layer = null;
  drawing.selected = null;
  recolour();
  arrange(() => {
    const index = keeps === null ? -1 : net.layers.findIndex((layer) => layer.name === keeps);
    drawing.fit();
    if (index >= 0) goTo(index);
  });
  listLayers();
}

/** Lays the net out anew. What is at an anchor node stays where it was on the screen. */
function arrange(then, anchor = null) {
  const before = anchor && drawing.picture && drawing.picture.byId.get(anchor.from);
  const place = before ? [(before.x - drawing.camera.x) * drawing.camera.k, (before.y - before.height / 2 - drawing.camera.y) * drawing.camera.k] : null;
  layout.place(pictureOf(state.shown), (picture) => {
    drawing.show(picture, state.shown);
    const after = place && picture.byId.get(anchor.to(picture));
    if (after) {
      drawing.camera.x = after.x - place[0] / drawing.camera.k;
      drawing.camera.y = after.y - after.height / 2 - place[1] / drawing.camera.k;
    }
    if (state.layer !== null) {
      state.node = picture.byId.get(state.shown.nodeOf(state.layer));
      drawing.selected = state.node.id;
    }
    $("net").dataset.nodes = picture.nodes.length;
    $("net").setAttribute("aria-label", `Drawing of ${state.net.title}: ${picture.nodes.length} nodes for ${state.net.layers.length} layers. Arrow keys go from layer to layer.`);
    if (then) then(picture);
    performance.mark("caffe-lint-laid-out");
  });
}

function toggleBlock(block) {
  const { collapsed, net } = state.shown;
  const first = net.blocks[block].layers[0];
  const isCollapsed = collapsed.has(block);
  const from = isCollapsed ? `b${block}` : state.shown.nodeOf(first);
  if (isCollapsed) collapsed.delete(block);
  else collapsed.add(block);
  state.layer = null;
  state.node = null;
  drawing.selected = null;
  arrange((picture) => {
    const node = picture.byId.get(isCollapsed ? state.shown.nodeOf(first) : `b${block}`);
    if (node) drawing.choose(node);
    say(`${net.blocks[block].title} ${isCollapsed ? "expanded" : "collapsed"}`);
  }, { from, to: () => (isCollapsed ? state.shown.nodeOf(first) : `b${block}`) });
}

/** Collapses the block that a node is in. */
function enclose(node) {
  const host = state.net.layers[node.layers[0]].host;
  const block = node.block >= 0 ? state.net.blocks[node.block].parent : state.shown.innermost[host];
  if (block >= 0) toggleBlock(block);
}

/** Shows the layers that are folded into one as nodes of their own, or folds them again. */
function unfold(node) {
  if (node.block >= 0) return;
  const host = state.net.layers[node.layer].host;
  if (!state.shown.unfolded.delete(host)) state.shown.unfolded.add(host);
  state.layer = host;
  arrange(null, { from: node.id, to: () => `l${host}` });
}

function selectNode(node) {
  state.node = node;
  state.layer = node ? node.layers[0] : null;
  if (node) {
    const more = node.severity ? `, ${node.findings.length} finding${node.findings.length === 1 ? "" : "s"}, ${node.severity}` : "";
    const value = drawing.colouring.isNumeric ? `, ${MEASURES[state.measure].title} ${drawing.colouring.text(drawing.colouring.valueOf(node))}` : "";
    say(`${node.title}, ${node.subtitle}${value}${more}`);
    history.replaceState(null, "", node.block >= 0 ? "#" : `#${encodeURIComponent(state.net.layers[state.layer].name)}`);
  }
  showTab("layer");
  markHeatMap();
}

/** Selects a layer, wherever it is: in a collapsed block, or folded into another. */
function goTo(index, { center = true } = {}) {
  const work = (picture) => {
    const node = picture.byId.get(state.shown.nodeOf(index));
    if (!node) return;
    drawing.choose(node);
    state.layer = index;
    showTab("layer");
    if (center) drawing.reach(node);
  };
  if (state.shown.reveal(index)) arrange(work);
  else if (drawing.picture) work(drawing.picture);
}

function goToName(name) {
  const index = state.net.layers.findIndex((layer) => layer.name === name);
  if (index >= 0) goTo(index);
}

/** Goes to the layer that a finding is in, in whichever net. */
function goToFinding(number) {
  const has = (net) => net.layers.findIndex((layer) => layer.findings.includes(number));
  if (has(state.net) >= 0) goTo(has(state.net));
  else {
    const net = VIEW.nets.find((each) => has(each) >= 0);
    if (net) showNet(net, { keeps: net.layers[has(net)].name });
  }
}

// -- colours ------------------------------------------------------------------------------------------------

function recolour() {
  const numeric = MEASURES[state.measure].signal;
  drawing.colouring = new Colouring(state.net, state.measure, state.source);
  const run = state.source.run >= 0 ? VIEW.runs[state.source.run] : VIEW.runs.find((each) => each.guilty);
  const isMarked = run && run.guilty && state.net.phase === "TRAIN";
  drawing.guilty = { names: new Set(isMarked ? [run.guilty] : []), words: isMarked ? run.guilty_for : "" };
  const legend = drawing.colouring.legend();
  if (numeric && !drawing.colouring.known) {
    const why = state.source.values ? "the log has no such values" : VIEW.prediction ? VIEW.prediction.cannot_tell || "nothing is predicted of this net" : "only the training net of a solver has a predicted signal";
    legend.push(el("span", { class: "dim", text: why }));
  }
  if (numeric && state.net.phase === "TRAIN") {
    const at = state.source.values ? `iteration ${state.source.values.iterations[state.source.column]}` : "predicted, iteration 0";
    legend.unshift(el("strong", { text: at }));
  }
  $("legend").replaceChildren(...legend);
  drawing.draw();
}

function setMeasure(measure) {
  state.measure = measure;
  $("measure").value = measure;
  recolour();
  fillHeatMap();
  if (state.tab === "layer") showTab("layer");
}

// -- the panel ----------------------------------------------------------------------------------------------

const rateChart = new Chart(el("canvas", { class: "small-chart", role: "img" }));
const TABS = ["layer", "findings", "layers"];

function showTab(name) {
  state.tab = name;
  for (const tab of TABS) {
    $(`tab-${tab}`).setAttribute("aria-selected", String(tab === name));
    $(`tab-${tab}`).tabIndex = tab === name ? 0 : -1;
  }
  $("panel").setAttribute("aria-labelledby", `tab-${name}`);
  $("list").hidden = name !== "layers";
  $("card").hidden = name === "layers";
  $("tab-layer").textContent = state.layer === null ? "Net" : "Layer";
  if (name === "layers") return;
  $("panel").scrollTop = 0;
  const help = { go: (index) => goTo(index), toggle: toggleBlock, reach: goToFinding, colouring: drawing.colouring };
  if (name === "findings") {
    const causes = VIEW.runs.flatMap((run, number) => run.causes.map((cause) => causeCard(cause, () => goToCause(number, cause))));
    const findings = VIEW.findings.map((_, number) => findingCard(number, goToFinding));
    $("card").replaceChildren(...(causes.length || findings.length ? [...causes, ...findings] : [el("p", { class: "note", text: VIEW.verdicts.length ? "No findings." : "Nothing was found in the log." })]));
  } else if (state.node && state.node.block >= 0 && state.shown.isFolded !== undefined && state.node.id === `b${state.node.block}`) {
    $("card").replaceChildren(blockCard(state.net, state.node, help));
  } else if (state.layer !== null) {
    const others = state.node && state.node.block < 0 ? state.node.layers : [state.layer];
    const chips = others.length > 1 || state.net.layers[state.layer].host !== state.layer ? foldedBar(others) : null;
    $("card").replaceChildren(...[chips, layerCard(state.net, state.layer, help)].filter(Boolean));
  } else {
    $("card").replaceChildren(overviewCard(state.net, VIEW.schedule ? rateBox() : null));
  }
}

/** Buttons for the layers that are drawn as one. */
function foldedBar(indices) {
  const buttons = indices.map((index) => el("button", { "aria-pressed": String(index === state.layer), text: state.net.layers[index].type, title: state.net.layers[index].name, onclick: () => { state.layer = index; showTab("layer"); } }));
  return el("div", { class: "folded", role: "group", "aria-label": "Layers that are drawn as one" }, ...buttons,
    state.node ? el("button", { class: "link", text: indices.length > 1 ? "unfold" : "fold", onclick: () => unfold(state.node) }) : null);
}

function rateBox() {
  const { policy, length, iterations, rates, stepwise, logarithmic, faults } = VIEW.schedule;
  const faulty = faults.map(([kind, first, last]) => `${kind} in iterations ${first} to ${last}`);
  rateChart.canvas.setAttribute("aria-label", `Learning rate, policy ${policy}, ${length} iterations: from ${short(rates[0])} to ${short(rates[rates.length - 1])}. ${faulty.join(". ")}`);
  rateChart.set({ series: [{ name: "learning rate", colour: themed("--accent"), iterations, values: rates, stepwise }], isLogarithmic: logarithmic, spans: faults.map(([, first, last]) => ({ first, last })) });
  return el("figure", {}, el("figcaption", { text: `Learning rate: ${policy}, ${length.toLocaleString("en")} iterations${faulty.length ? `; ${faulty.join(", ")}` : ""}` }), rateChart.canvas);
}

function goToCause(number, cause) {
  const { values } = VIEW.runs[number];
  if (values && cause.iteration !== null) setColumn(number, columnAt(values, cause.iteration));
  if (cause.layer) goToName(cause.layer);
}

// -- the list of layers, and the search ---------------------------------------------------------------------

function listLayers() {
  const word = $("search").value.trim().toLowerCase();
  const { layers } = state.net;
  const hits = [];
  layers.forEach((layer, index) => {
    const words = [layer.name, layer.type, ...layer.tops.map((top) => top.name), ...layer.findings.map((number) => VIEW.findings[number].code)];
    if (!word || words.some((each) => each.toLowerCase().includes(word))) hits.push(index);
  });
  $("list").replaceChildren(...hits.map((index) => {
    const layer = layers[index], severity = worst(layer.findings);
    return el("li", {}, el("button", { onclick: () => goTo(index), "data-layer": index },
      severity ? el("i", { class: `dot ${severity}`, role: "img", "aria-label": severity }) : null,
      el("span", { text: layer.name || "(no name)" }), el("span", { class: "dim", text: layer.type }),
      el("span", { class: "dim", text: layer.tops.length ? shapeText(layer.tops[0].shape) : "" })));
  }));
  $("hits").textContent = word ? `${hits.length} of ${layers.length}` : "";
  return hits;
}

// -- runs ---------------------------------------------------------------------------------------------------

const columnAt = (values, iteration) => values.iterations.reduce((best, each, column) => (Math.abs(each - iteration) < Math.abs(values.iterations[best] - iteration) ? column : best), 0);
let curves = null, heat = null;

/** Colours the net as it was in a column of a run. */
function setColumn(run, column) {
  if (state.source.run !== run || state.source.column !== column || !MEASURES[state.measure].signal) {
    state.source = new Source(run, column);
    if (!MEASURES[state.measure].signal) state.measure = "activation";
    $("measure").value = state.measure;
  }
  showIteration();
  recolour();
  fillHeatMap();
  if (state.tab === "layer") showTab("layer");
}

function showIteration() {
  const { values, column, run } = state.source;
  if (!$("iteration")) return;
  if (values) {
    $("iteration").max = values.iterations.length - 1;
    $("iteration").value = column;
    $("run").value = run;
    $("iteration-text").textContent = `iteration ${values.iterations[column]}`;
    $("iteration").setAttribute("aria-valuetext", `iteration ${values.iterations[column]}`);
  } else {
    $("iteration-text").textContent = "predicted";
  }
  if (curves) curves.set({ cursor: values ? values.iterations[column] : null });
}

function fillHeatMap() {
  if (!heat) return;
  const run = Number($("run").value);
  const { values } = VIEW.runs[run];
  $("heat-box").hidden = !values;
  if (!values) return;
  const measure = MEASURES[state.measure].signal ? state.measure : "activation";
  const source = state.source.run === run ? state.source : new Source(run, 0);
  const colouring = new Colouring(state.net, measure, source);
  $("heat-title").textContent = `${MEASURES[measure].title}: layers × iterations`;
  heat.set({ values, measure, colouring, column: state.source.run === run ? state.source.column : null, guilty: VIEW.runs[run].guilty, selected: selectedNames() });
  heat.canvas.setAttribute("aria-label", `Heat map of ${MEASURES[measure].title}: ${heat.rows.length} layers by ${heat.columns} iterations${VIEW.runs[run].guilty ? `. It started in layer ${VIEW.runs[run].guilty}` : ""}`);
}

const selectedNames = () => new Set(state.node ? state.node.layers.map((index) => state.net.layers[index].name) : []);

function markHeatMap() {
  if (heat && heat.values) {
    heat.selected = selectedNames();
    heat.draw();
  }
}

function fillCurves() {
  const group = $("curve").value;
  const series = VIEW.runs.flatMap((run, number) => {
    const own = run.curves.filter((curve) => curve.group === group);
    return own.map((curve, place) => ({
      name: `${VIEW.runs.length > 1 ? `${run.title}: ` : ""}${curve.phase === "test" ? "test " : ""}${curve.name}`,
      colour: RUN_COLOURS[(VIEW.runs.length > 1 ? number + (place ? place * 3 : 0) : place) % RUN_COLOURS.length],
      dashed: curve.phase === "test",
      iterations: curve.iterations,
      values: curve.values,
      run: number,
    }));
  });
  const hidden = curves.hidden || new Set();
  const bad = themed("--error");
  const seen = series.filter((one) => !hidden.has(one.name));
  curves.set({
    series: seen,
    isLogarithmic: $("log-scale").checked,
    smoothing: Number($("smoothing").value),
    marks: VIEW.runs.filter((run) => run.first_bad !== null).map((run) => ({ iteration: run.first_bad, colour: bad, words: "first NaN or inf" })),
  });
  $("curve-key").replaceChildren(...series.map((one) => el("button", {
    class: "key", "aria-pressed": String(!hidden.has(one.name)), title: "show or hide",
    onclick: () => { if (!hidden.delete(one.name)) hidden.add(one.name); curves.hidden = hidden; fillCurves(); },
  }, el("i", { style: `background: ${one.colour}` }), one.name)));
  const last = seen.map((one) => `${one.name} ends at ${short(one.values[one.values.length - 1])}`);
  curves.canvas.setAttribute("aria-label", `Curves of ${group}. ${last.slice(0, 6).join("; ")}`);
}

function startRuns() {
  if (!VIEW.runs.length) return;
  $("dock").hidden = false;
  curves = new Chart($("curves"), {
    pick: (iteration) => {
      const run = Number($("run").value);
      const { values } = VIEW.runs[run];
      if (values) setColumn(run, columnAt(values, iteration));
    },
  });
  heat = new HeatMap($("heat"), (column, name) => {
    setColumn(Number($("run").value), column);
    goToName(name);
  });
  const groups = [...new Set(VIEW.runs.flatMap((run) => run.curves.map((curve) => curve.group)))];
  $("curve").replaceChildren(...groups.map((group) => el("option", { value: group, text: group })));
  $("run").replaceChildren(...VIEW.runs.map((run, number) => el("option", { value: number, text: run.title })));
  const worstRun = VIEW.runs.findIndex((run) => run.values && run.guilty);
  const start = worstRun >= 0 ? worstRun : Math.max(0, VIEW.runs.findIndex((run) => run.values));
  $("run").value = start;
  $("run").parentElement.hidden = VIEW.runs.length < 2;
  const isDiverging = VIEW.runs.some((run) => run.first_bad !== null || run.curves.some((curve) => curve.group === "loss" && spread(curve.values) > 50));
  $("log-scale").checked = isDiverging;
  $("curve").addEventListener("change", fillCurves);
  $("log-scale").addEventListener("change", fillCurves);
  $("smoothing").addEventListener("input", fillCurves);
  $("unzoom").addEventListener("click", () => curves.set({ zoomed: null }));
  $("run").addEventListener("change", () => {
    const run = Number($("run").value);
    const { values } = VIEW.runs[run];
    if (values) setColumn(run, values.iterations.length - 1);
    else fillHeatMap();
  });
  $("iteration").addEventListener("input", () => setColumn(Number($("run").value), Number($("iteration").value)));
  $("run-notes").replaceChildren(...VIEW.runs.filter((run) => run.note).map((run) => el("p", { class: "note", text: run.note })));
  const { values, first_bad } = VIEW.runs[start];
  if (VIEW.runs.some((run) => run.curves.some((curve) => curve.iterations.length > 80))) $("smoothing").value = 0.6;
  $("slider").hidden = !VIEW.runs.some((run) => run.values);
  fillCurves();
  if (values) {
    setColumn(start, first_bad !== null ? columnAt(values, first_bad) : values.iterations.length - 1);
  } else fillHeatMap();
}

function spread(values) {
  const known = values.filter((value) => typeof value === "number" && value > 0);
  return known.length ? Math.max(...known) / Math.min(...known) : 1;
}

// -- the bar at the top -------------------------------------------------------------------------------------

function startBar() {
  const line = (severity, words) => el("p", { class: `verdict ${severity || "good"}` },
    el("span", { class: "severity", text: { error: "✖ ", warning: "▲ " }[severity] || "● ", "aria-hidden": "true" }), words);
  for (const { severity, sentence, path } of VIEW.verdicts) $("verdicts").append(line(severity, `${VIEW.verdicts.length > 1 ? `${path}: ` : ""}${sentence}`));
  for (const run of VIEW.runs) {
    const [cause] = run.causes;
    if (cause) $("verdicts").append(line(cause.severity, `${run.title}: ${cause.message}`));
  }
  VIEW.nets.forEach((net, number) => $("phases").append(el("button", { "data-number": number, "aria-pressed": "false", text: net.title, onclick: () => showNet(net, { keeps: state.layer !== null ? state.net.layers[state.layer].name : null }) })));
  for (const [name, { title }] of Object.entries(MEASURES)) $("measure").append(el("option", { value: name, text: title }));
  $("measure").addEventListener("change", () => setMeasure($("measure").value));
  const all = VIEW.findings.length + VIEW.runs.reduce((sum, run) => sum + run.causes.length, 0);
  $("tab-findings").textContent = `Findings (${all})`;
  TABS.forEach((tab, place) => {
    $(`tab-${tab}`).addEventListener("click", () => showTab(tab));
    $(`tab-${tab}`).addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = TABS[(place + step + TABS.length) % TABS.length];
      showTab(next);
      $(`tab-${next}`).focus();
    });
  });
  $("search").addEventListener("input", () => { listLayers(); if ($("search").value) showTab("layers"); });
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "Escape") { $("search").value = ""; listLayers(); }
    if (event.key !== "Enter") return;
    const hits = listLayers();
    if (!hits.length) return;
    const next = hits.find((index) => event.shiftKey ? false : index > (state.layer ?? -1)) ?? hits[0];
    goTo(next);
  });
  const buttons = {
    "zoom-in": () => drawing.zoom(1.25),
    "zoom-out": () => drawing.zoom(0.8),
    fit: () => drawing.fit({ whole: true }),
    expand: () => { state.shown.expandAll(); arrange(() => drawing.fit()); },
    collapse: () => { state.shown.collapseAll(); state.layer = state.node = drawing.selected = null; arrange(() => drawing.fit()); },
    theme: () => setTheme({ "": "dark", dark: "light", light: "" }[document.documentElement.dataset.theme || ""]),
  };
  for (const [id, work] of Object.entries(buttons)) $(id).addEventListener("click", work);
  $("folds").addEventListener("change", () => {
    state.shown.foldsSmall = $("folds").checked;
    state.shown.unfolded.clear();
    arrange(() => drawing.fit());
  });
  addEventListener("keydown", (event) => {
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === "/" && !isTyping) { event.preventDefault(); $("search").focus(); }
  });
  addEventListener("hashchange", goToHash);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
}

function goToHash() {
  if (location.hash.length > 1) {
    try { goToName(decodeURIComponent(location.hash.slice(1))); } catch { /* not a name of ours */ }
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = { "": "◐ auto", dark: "● dark", light: "○ light" }[theme];
  repaint();
}

function repaint() {
  drawing.readTheme();
  rateChart.draw();
  if (curves) fillCurves();
  if (heat) fillHeatMap();
}

// -- start --------------------------------------------------------------------------------------------------

startBar();
if (VIEW.nets.length) {
  state.net = VIEW.nets[0];
  state.shown = new Shown(state.net);
  shownNets.set(state.net, state.shown);
  drawing.colouring = new Colouring(state.net, state.measure, state.source);
  startRuns();
  const hash = location.hash;
  const blamed = VIEW.runs.find((run) => run.guilty);
  showNet(state.net, { keeps: blamed ? blamed.guilty : null });
  showTab("layer");
  if (hash.length > 1) setTimeout(goToHash, 0);
} else {
  document.body.classList.add("without-net");
  state.net = { layers: [], edges: [], title: "", phase: "TRAIN" };
  drawing.colouring = new Colouring(state.net, "type", state.source);
  startRuns();
  showTab("findings");
}
document.documentElement.dataset.ready = "true";
