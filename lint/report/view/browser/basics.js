"use strict";
// What the other scripts share: the data of the page, making elements, and writing numbers.
// The scripts of the page are classic scripts in the order of page.py and see each other's top-level names.

const VIEW = JSON.parse(document.getElementById("view-data").textContent);

/** An element with attributes (`on…` are listeners, `text` is its text) and children. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const CANNOT_TELL = "cannot tell";

/** 1.23 M; what is unknown is said to be so. */
function quantity(number, unit = "") {
  if (number === null || number === undefined) return CANNOT_TELL;
  if (number < 1000) return `${number}${unit && ` ${unit}`}`;
  const power = Math.min(Math.floor(Math.log10(number) / 3), 5);
  const scaled = number / 1000 ** power;
  return `${scaled.toPrecision(3).replace(/\.?0+$/, (zeros) => (zeros.startsWith(".") ? "" : zeros))} ${" kMGTP"[power]}${unit}`;
}

/** A number with three significant digits; "NaN" and "Infinity" are strings in the data. */
function short(value) {
  if (value === null || value === undefined) return CANNOT_TELL;
  if (typeof value === "string") return value.replace("Infinity", "inf");
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(2).replace("e+", "e").replace(/\.?0+e/, "e");
  return String(Number(value.toPrecision(3)));
}

/** A predicted size, with the range that it lies in if that is not known. */
function sized(range) {
  if (!range) return CANNOT_TELL;
  const [usual, least, most] = range;
  if (usual === null) return "not finite";
  return least !== null && most !== null && most > least * 1.01 ? `${short(usual)} (${short(least)} to ${short(most)})` : short(usual);
}

function shapeText(shape) {
  if (!shape) return "?";
  return shape.length ? shape.map((dim) => dim ?? "?").join("×") : "scalar";
}

/** 3×3, or 3×1: along the axes. */
function sizes(list) {
  const known = list.map((size) => size ?? "?");
  return known.length === 1 ? `${known[0]}` : known.join("×");
}

/** What a window does, in the words that people use in drawings: 7×7 /2 p3. */
function windowText(layer) {
  const slid = layer.window;
  if (!slid) return layer.outputs ? `→ ${layer.outputs}` : "";
  if (slid.whole) return "global";
  const differs = (list, usual) => list.some((size) => size !== usual);
  const same = (list) => (new Set(list).size === 1 ? `${list[0] ?? "?"}` : sizes(list));
  return [
    sizes(slid.kernel),
    differs(slid.stride, 1) ? `/${same(slid.stride)}` : "",
    differs(slid.dilation, 1) ? `d${same(slid.dilation)}` : "",
    layer.outputs ? `→ ${layer.outputs}` : "",
  ].filter(Boolean).join(" ");
}

const SEVERITIES = ["advice", "warning", "error"];

/** The most severe of some findings, empty without any. */
function worst(numbers) {
  const ranks = numbers.map((number) => SEVERITIES.indexOf(VIEW.findings[number].severity));
  return ranks.length ? SEVERITIES[Math.max(...ranks)] : "";
}

/** Calls a function once in the next frame, however often it is asked for. */
function eachFrame(work) {
  let waiting = 0;
  return () => {
    if (!waiting) waiting = requestAnimationFrame(() => { waiting = 0; work(); });
  };
}

const probe = document.body.appendChild(el("i", { hidden: true }));

/** A colour of the style sheet, as it is in the current theme. */
function themed(name) {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

/** Fits a canvas to its box, in the pixels of the screen. Returns the context, scaled, with the width and height. */
function fitted(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { context, width, height };
}
