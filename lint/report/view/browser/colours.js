"use strict";
// Colouring layers by what they are, cost, or compute: the measures, their scales and the legend.

const VIRIDIS = ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"]
  .map((hex) => [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16)));

/** A colour of the scale for a number between 0 and 1. */
function viridis(part) {
  const place = Math.min(Math.max(part, 0), 1) * (VIRIDIS.length - 1);
  const low = Math.floor(place), high = Math.min(low + 1, VIRIDIS.length - 1);
  return VIRIDIS[low].map((channel, index) => Math.round(channel + (VIRIDIS[high][index] - channel) * (place - low)));
}

const BROKEN = [200, 20, 40]; // NaN or infinite

/** Black or white, whichever stands out more from a colour: by its relative luminance, as WCAG has it. */
function inkOn(rgb) {
  const [red, green, blue] = rgb.map((channel) => (channel / 255 <= 0.04045 ? channel / 3294.6 : ((channel / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000" : "#fff";
}

// What layers can be coloured by: what they are, a signal of an iteration, or what they cost.
const MEASURES = {
  type: { title: "type" },
  findings: { title: "findings" },
  activation: { title: "activation, mean |x|", signal: true },
  gradient: { title: "gradient, mean |dx|", signal: true },
  param_gradient: { title: "parameter gradient, mean |dw|", signal: true },
  update_ratio: { title: "update ratio, |Δw| / |w|", signal: true },
  count: { title: "parameters", costs: true },
  multiply_adds: { title: "multiply-adds", costs: true },
  memory: { title: "memory of tops", costs: true, unit: "B" },
};

/** Whether a layer has a value of a measure at all: data layers have no gradients, and only parameters are updated. */
const applies = (layer, measure) => {
  if (measure === "gradient") return layer.backward;
  if (measure === "update_ratio") return layer.backward && layer.params.some(({ lr_mult }) => lr_mult);
  return measure === "activation" ? layer.tops.length > 0 : !MEASURES[measure].signal || (layer.backward && layer.params.length > 0);
};

const isBroken = (value) => typeof value === "string";

/** Where the values of signals come from: what is predicted for iteration 0, or a column of a run. */
class Source {
  constructor(run = -1, column = 0) {
    this.run = run;
    this.column = column;
    const values = run >= 0 ? VIEW.runs[run].values : null;
    this.values = values;
    this.rows = values ? new Map(values.layers.map((name, row) => [name, row])) : null;
  }

  /** The value of a layer; null if it cannot be told. */
  of(layer, measure) {
    if (!this.values) {
      const range = layer.signal && layer.signal[measure];
      return range ? range[0] ?? "NaN" : null;
    }
    const row = this.values[measure][this.rows.get(layer.name)];
    return row && row.length ? row[this.column] ?? null : null;
  }

  /** The finite values of a measure that set the ends of its scale: of the whole run, so that colours stay comparable. */
  range(net, measure) {
    if (this.values) return this.values[measure].flat();
    return net.layers.map((layer) => this.of(layer, measure));
  }
}

/** What layers are coloured by now. */
class Colouring {
  constructor(net, measure, source) {
    this.net = net;
    this.measure = measure;
    this.source = source;
    const about = MEASURES[measure];
    if (about.signal || about.costs) {
      const values = about.signal ? source.range(net, measure) : net.layers.map((layer) => layer[measure]);
      let low = Infinity, high = -Infinity, known = 0;
      for (const value of values) {
        if (value !== null && value !== undefined) known += 1;
        if (typeof value === "number" && value > 0) {
          low = Math.min(low, value);
          high = Math.max(high, value);
        }
      }
      this.known = known;
      const floor = about.signal ? 1e-12 : 1;
      this.low = Math.log10(Math.max(low, floor));
      this.high = Math.log10(Math.max(Math.min(high, 1e12), floor));
      if (!(this.high > this.low)) {
        this.low = Number.isFinite(this.low) ? this.low - 1 : 0;
        this.high = this.low + 2;
      }
    }
  }

  get isNumeric() {
    return Boolean(MEASURES[this.measure].signal || MEASURES[this.measure].costs);
  }

  /** The value of a node: the sum of costs, the last activation, the largest of the others; NaN before all. Undefined: it has none. */
  valueOf(node) {
    const about = MEASURES[this.measure];
    const values = node.layers.map((index) => (about.signal ? this.source.of(this.net.layers[index], this.measure) : this.net.layers[index][this.measure]));
    if (about.costs) return values.some((value) => value === null) ? null : values.reduce((sum, value) => sum + value, 0);
    const known = values.filter((value) => value !== null);
    if (!known.length) return node.layers.some((index) => applies(this.net.layers[index], this.measure)) ? null : undefined;
    const broken = known.find(isBroken);
    if (broken) return broken;
    return this.measure === "activation" && node.block < 0 ? known[known.length - 1] : Math.max(...known);
  }

  /** Red, green and blue of a value; null for what cannot be told. */
  colourOf(value) {
    if (value === null || value === undefined) return null;
    if (isBroken(value)) return BROKEN;
    if (value <= 0) return MEASURES[this.measure].costs ? null : viridis(0);
    return viridis((Math.log10(value) - this.low) / (this.high - this.low));
  }

  text(value) {
    const about = MEASURES[this.measure];
    if (value === undefined) return "none";
    return about.costs ? quantity(value, about.unit) : short(value);
  }

  legend() {
    const about = MEASURES[this.measure];
    if (this.measure === "findings") {
      const number = (severity) => VIEW.findings.filter((finding) => finding.severity === severity).length;
      return [...[...SEVERITIES].reverse().map((severity) => key(`var(--${severity})`, `${severity} (${number(severity)})`)), key("var(--page)", "none in the layer")];
    }
    if (!this.isNumeric) {
      const found = new Set(this.net.layers.filter((layer, index) => layer.host === index).map((layer) => layer.kind));
      const names = { weights: "weights", norm: "normalisation", activation: "activation", pool: "pooling", shape: "joins, reshapes", data: "data", loss: "loss", unknown: "unknown type", other: "other", block: "block of layers" };
      if (this.net.blocks.length) found.add("block");
      return Object.entries(names).filter(([name]) => found.has(name)).map(([name, words]) => key(`var(--of-${name})`, words));
    }
    const bar = el("span", { class: "scale", "aria-hidden": "true", style: `background: linear-gradient(90deg, ${VIRIDIS.map((rgb) => `rgb(${rgb})`).join(",")})` });
    const ends = [10 ** this.low, 10 ** this.high].map((value) => (about.costs ? quantity(Math.round(value), about.unit) : short(value)));
    const parts = [el("span", { text: ends[0] }), bar, el("span", { text: ends[1] })];
    if (about.signal) parts.push(key(`rgb(${BROKEN})`, "NaN, inf"));
    parts.push(key("var(--unknown)", CANNOT_TELL));
    return parts;
  }
}

const key = (colour, words) => el("span", { class: "key" }, el("i", { style: `background: ${colour}` }), words);
