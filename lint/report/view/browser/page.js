"use strict";
// The page: its state, and what happens when something is chosen.

const $ = (id) => document.getElementById(id);
// `measure` colours the net, by the values of `source`; `signal` and `run` are those of the heat map.
const state = { net: null, shown: null, measure: "type", source: new Source(), signal: "activation", run: 0, node: null, layer: null, tab: "layer" };
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

function showNet(net, { keeps = "" } = {}) {
  state.net = net;
  if (!shownNets.has(net)) shownNets.set(net, new Shown(net));
  state.shown = shownNets.get(net);
  for (const button of $("phases").children) button.setAttribute("aria-pressed", String(VIEW.nets[button.dataset.number] === net));
  state.node = state.layer = null;
  drawing.selected = null;
  $("blocks").hidden = !net.blocks.length;
  $("folds").parentElement.hidden = net.layers.every((layer, index) => layer.host === index);
  recolour();
  arrange(() => {
    const index = keeps ? net.layers.findIndex((layer) => layer.name === keeps) : -1;
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
  }
  history.replaceState(null, "", node && node.block < 0 ? `#${encodeURIComponent(state.net.layers[state.layer].name)}` : "#");
  showTab("layer");
  markHeatMap();
}

/** Selects a layer, wherever it is: in a collapsed block, or folded into another. */
function goTo(index) {
  const work = (picture) => {
    const node = picture.byId.get(state.shown.nodeOf(index));
    if (!node) return;
    drawing.choose(node);
    state.layer = index;
    showTab("layer");
    drawing.reach(node);
  };
  if (state.shown.reveal(index)) arrange(work);
  else if (drawing.picture) work(drawing.picture);
}

/** Goes to the first layer of which something is true, in the net that is shown or else in another. */
function goToFirst(isWanted) {
  const net = [state.net, ...VIEW.nets].find(({ layers }) => layers.some(isWanted));
  if (net === state.net) goTo(net.layers.findIndex(isWanted));
  else if (net) showNet(net, { keeps: net.layers.find(isWanted).name });
}

const goToName = (name) => goToFirst((layer) => layer.name === name);
const goToFinding = (number) => goToFirst((layer) => layer.findings.includes(number));

// -- colours ------------------------------------------------------------------------------------------------

function recolour() {
  const numeric = MEASURES[state.measure].signal;
  drawing.colouring = new Colouring(state.net, state.measure, state.source);
  const run = state.source.run >= 0 ? VIEW.runs[state.source.run] : VIEW.runs.find((each) => each.guilty);
  const isMarked = run && run.guilty && state.net.phase === "TRAIN";
  drawing.guilty = { names: new Set(isMarked ? [run.guilty] : []), words: isMarked ? run.guilty_for : "" };
  const legend = drawing.colouring.legend();
  if (drawing.colouring.isNumeric) legend.push(key("var(--box)", "none"));
  if (numeric && !drawing.colouring.known) {
    const why = state.source.values ? nothingOf(state.source.values, state.measure) : VIEW.prediction ? VIEW.prediction.cannot_tell || "nothing is predicted of this net" : "only the training net of a solver has a predicted signal";
    legend.push(el("span", { class: "dim", text: why }));
  }
  if (numeric && (state.source.values || state.net.phase === "TRAIN")) {
    const at = state.source.values ? `iteration ${state.source.values.iterations[state.source.column]}` : "predicted, iteration 0";
    legend.unshift(el("strong", { text: at }));
    if (state.source.values && state.measure === "update_ratio" && drawing.colouring.known) legend.push(el("span", { class: "dim", text: state.source.values.update_basis }));
  }
  $("legend").replaceChildren(...legend);
  drawing.draw();
}

/** Why a run has no values of a measure at all. */
const nothingOf = (values, measure) => (measure === "update_ratio" ? `${CANNOT_TELL}: ${values.update_basis}` : "the log has no such values");

function setMeasure(measure) {
  state.measure = measure;
  if (MEASURES[measure].signal) state.signal = measure;
  refresh();
}

/** Shows again all that depends on the measure and on the iteration. The panel stays where it is scrolled to. */
function refresh() {
  const { scrollTop } = $("panel");
  $("measure").value = state.measure;
  showIteration();
  recolour();
  fillHeatMap();
  if (state.tab === "layer") showTab("layer");
  $("panel").scrollTop = scrollTop;
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
  $("tab-layer").textContent = !VIEW.nets.length ? "Log" : state.layer === null ? "Net" : "Layer";
  if (name === "layers") return;
  $("panel").scrollTop = 0;
  const help = { go: leaving(goTo), toggle: leaving(toggleBlock), reach: leaving(goToFinding), colouring: drawing.colouring };
  if (name === "findings") {
    const causes = VIEW.runs.flatMap((run, number) => run.causes.map((cause) => causeCard(cause, leaving(() => goToCause(number, cause)))));
    const findings = VIEW.findings.map((_, number) => findingCard(number, help.reach));
    const nothing = el("p", { class: "note", text: VIEW.verdicts.length ? "No findings." : "Nothing was found in the log." });
    $("card").replaceChildren(el("h2", { class: "unseen", text: "Findings" }), ...causes, ...findings, ...(causes.length || findings.length ? [] : [nothing]));
  } else if (state.node && state.node.block >= 0) {
    $("card").replaceChildren(blockCard(state.net, state.node, help));
  } else if (state.layer !== null) {
    const others = state.node && state.node.block < 0 ? state.node.layers : [state.layer];
    const chips = others.length > 1 || state.net.layers[state.layer].host !== state.layer ? foldedBar(others) : null;
    $("card").replaceChildren(...[chips, layerCard(state.net, state.layer, help)].filter(Boolean));
  } else {
    $("card").replaceChildren(overviewCard(VIEW.nets.length ? state.net : null, VIEW.schedule ? rateBox() : null));
  }
}

/** What a button in the panel does, which then is no longer there: the focus stays in the panel. */
const leaving = (work) => (...given) => {
  work(...given);
  $("panel").focus();
};

/** Buttons for the layers that are drawn as one. */
function foldedBar(indices) {
  const buttons = indices.map((index) => el("button", { "aria-pressed": String(index === state.layer), text: state.net.layers[index].type, title: state.net.layers[index].name, onclick: leaving(() => { state.layer = index; showTab("layer"); }) }));
  return el("div", { class: "folded", role: "group", "aria-label": "Layers that are drawn as one" }, ...buttons,
    state.node ? el("button", { class: "link", text: indices.length > 1 ? "unfold" : "fold", onclick: leaving(() => unfold(state.node)) }) : null);
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
    return el("li", {}, el("button", { onclick: leaving(() => goTo(index)), "data-layer": index },
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
  state.run = run;
  state.source = new Source(run, column);
  if (!MEASURES[state.measure].signal) state.measure = state.signal;
  refresh();
}

/** Shows a run in the heat map, and colours the net as it was at its end; -1 colours it as it is predicted. */
function showRun(run) {
  const values = run >= 0 ? VIEW.runs[run].values : null;
  if (run >= 0) state.run = run;
  if (values) setColumn(run, values.iterations.length - 1);
  else {
    state.source = new Source();
    refresh();
  }
}

function showIteration() {
  if (!curves) return;
  const { values, column, run } = state.source;
  $("run").value = values || !VIEW.runs[state.run].values ? state.run : run;
  $("slider").hidden = !values;
  if (values) {
    const words = `iteration ${values.iterations[column]}`;
    $("iteration").max = values.iterations.length - 1;
    $("iteration").value = column;
    $("iteration").setAttribute("aria-valuetext", words);
    $("iteration-text").textContent = words;
  }
  curves.set({ cursor: values ? values.iterations[column] : null });
}

function fillHeatMap() {
  if (!heat) return;
  const { run, signal: measure } = state;
  const { values } = VIEW.runs[run];
  $("heat-box").hidden = !values;
  $("no-values").hidden = Boolean(values);
  $("no-values").textContent = `${VIEW.runs[run].title} has no debug_info, and so no values of layers.`;
  if (!values) return;
  const source = state.source.run === run ? state.source : new Source(run, 0);
  const colouring = new Colouring(state.net, measure, source);
  $("heat-measure").value = measure;
  $("heat-key").replaceChildren(...(colouring.known ? colouring.legend() : []));
  heat.set({ values, measure, colouring, column: state.source.run === run ? state.source.column : null, guilty: VIEW.runs[run].guilty, selected: selectedNames(), nothing: nothingOf(values, measure) });
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
    }));
  });
  $("smoothing-text").textContent = Number($("smoothing").value).toFixed(2);
  const { hidden } = curves;
  const bad = themed("--error");
  const seen = series.filter((one) => !hidden.has(one.name));
  curves.set({
    series: seen,
    isLogarithmic: $("log-scale").checked,
    smoothing: Number($("smoothing").value),
    marks: VIEW.runs.filter((run) => run.first_bad !== null).map((run) => ({ iteration: run.first_bad, colour: bad, words: "first NaN or inf" })),
  });
  $("curve-key").replaceChildren(...series.map((one, place) => el("button", {
    class: "key", "aria-pressed": String(!hidden.has(one.name)), title: "show or hide",
    onclick: () => { if (!hidden.delete(one.name)) hidden.add(one.name); fillCurves(); $("curve-key").children[place].focus(); },
  }, el("i", { style: `background: ${one.colour}` }), one.name)));
  const last = seen.map((one) => `${one.name} ends at ${short(one.values[one.values.length - 1])}`);
  curves.canvas.setAttribute("aria-label", `Curves of ${group}. ${last.slice(0, 6).join("; ")}`);
}

function startRuns() {
  if (!VIEW.runs.length) return;
  $("dock").hidden = false;
  curves = new Chart($("curves"), {
    pick: (iteration) => {
      const { values } = VIEW.runs[state.run];
      if (values) setColumn(state.run, columnAt(values, iteration));
    },
  });
  curves.hidden = new Set();
  heat = new HeatMap($("heat"), (column, name) => {
    setColumn(state.run, column);
    goToName(name);
  });
  const groups = [...new Set(VIEW.runs.flatMap((run) => run.curves.map((curve) => curve.group)))];
  $("curve-box").hidden = !groups.length;
  $("curve").replaceChildren(...groups.map((group) => el("option", { value: group, text: group })));
  const runs = VIEW.runs.map((run, number) => [number, run.title]);
  if (VIEW.prediction && VIEW.runs.some((run) => run.values)) runs.push([-1, "predicted, iteration 0"]);
  $("run").replaceChildren(...runs.map(([value, text]) => el("option", { value, text })));
  $("run-box").hidden = runs.length < 2;
  const signals = Object.entries(MEASURES).filter(([, { signal }]) => signal);
  $("heat-measure").replaceChildren(...signals.map(([value, { title }]) => el("option", { value, text: title })));
  const worstRun = VIEW.runs.findIndex((run) => run.values && run.guilty);
  const start = worstRun >= 0 ? worstRun : Math.max(0, VIEW.runs.findIndex((run) => run.values));
  state.run = start;
  const isDiverging = VIEW.runs.some((run) => run.first_bad !== null || run.curves.some((curve) => curve.group === "loss" && spread(curve.values) > 50));
  $("log-scale").checked = isDiverging;
  $("curve").addEventListener("change", fillCurves);
  $("log-scale").addEventListener("change", fillCurves);
  $("smoothing").addEventListener("input", fillCurves);
  $("unzoom").addEventListener("click", () => curves.set({ zoomed: null }));
  $("run").addEventListener("change", () => showRun(Number($("run").value)));
  $("iteration").addEventListener("input", () => setColumn(state.run, Number($("iteration").value)));
  $("heat-measure").addEventListener("change", () => setMeasure($("heat-measure").value));
  $("hide-runs").addEventListener("click", () => {
    const isShown = !$("run-charts").toggleAttribute("hidden");
    $("hide-runs").setAttribute("aria-expanded", String(isShown));
    $("hide-runs").textContent = isShown ? "Hide curves" : "Show curves";
  });
  const differing = VIEW.runs.filter((run) => run.note);
  $("run-notes").replaceChildren(...differing.map((run) => el("details", {}, el("summary", { text: `▲ ${run.title} is not of the solver as it is now` }), run.note)));
  const { values, first_bad } = VIEW.runs[start];
  if (VIEW.runs.some((run) => run.curves.some((curve) => curve.iterations.length > 80))) $("smoothing").value = 0.6;
  fillCurves();
  if (values && first_bad !== null) setColumn(start, columnAt(values, first_bad));
  else showRun(start);
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
  VIEW.nets.forEach((net, number) => $("phases").append(el("button", { "data-number": number, "aria-pressed": "false", text: net.title, onclick: () => showNet(net, { keeps: state.layer !== null ? state.net.layers[state.layer].name : "" }) })));
  for (const [name, { title }] of Object.entries(MEASURES)) $("measure").append(el("option", { value: name, text: title }));
  $("measure").addEventListener("change", () => setMeasure($("measure").value));
  const all = VIEW.findings.length + VIEW.runs.reduce((sum, run) => sum + run.causes.length, 0);
  $("tab-findings").textContent = `Findings (${all})`;
  const tabs = TABS.filter((tab) => !$(`tab-${tab}`).hidden);
  tabs.forEach((tab, place) => {
    $(`tab-${tab}`).addEventListener("click", () => showTab(tab));
    $(`tab-${tab}`).addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(place + step + tabs.length) % tabs.length];
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
  $("panel").addEventListener("keydown", (event) => { if (event.key === "Escape") $("net").focus(); });
  addEventListener("hashchange", () => goToName(nameInHash()));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
}

/** The name of the layer in the address of the page, empty without one. */
function nameInHash() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = `Theme: ${theme || "auto"}`;
  repaint();
}

function repaint() {
  drawing.readTheme();
  showTab(state.tab); // with the curve of the learning rate
  if (curves) fillCurves();
  fillHeatMap();
}

// -- start --------------------------------------------------------------------------------------------------

$("tab-layers").hidden = !VIEW.nets.length;
startBar();
if (VIEW.nets.length) {
  const blamed = VIEW.runs.find((run) => run.guilty);
  const wanted = nameInHash() || (blamed ? blamed.guilty : "");
  state.net = VIEW.nets.find((net) => net.layers.some(({ name }) => name === wanted)) || VIEW.nets[0];
  drawing.colouring = new Colouring(state.net, state.measure, state.source);
  startRuns();
  showNet(state.net, { keeps: wanted });
  showTab("layer");
} else {
  document.body.classList.add("without-net");
  state.net = { layers: [], edges: [], blocks: [], title: "", phase: "TRAIN" };
  drawing.colouring = new Colouring(state.net, "type", state.source);
  startRuns();
  showTab(VIEW.runs.some((run) => run.causes.length) ? "findings" : "layer");
}
document.documentElement.dataset.ready = "true";
