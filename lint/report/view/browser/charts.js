"use strict";
// Curves over iterations: several runs in one chart, smoothed, zoomed by dragging, on a linear or logarithmic scale.

const RUN_COLOURS = ["#3b82f6", "#ea580c", "#0f9f6e", "#a855f7", "#b7791f", "#db2777", "#0d9488", "#7c8796"]; // 3:1 on white and on black

/** Values smoothed as TensorBoard does it: an exponential mean, corrected for its start. What is not a number is left out. */
function smoothed(values, weight) {
  let last = 0, count = 0;
  return values.map((value) => {
    if (typeof value !== "number") return value;
    last = last * weight + (1 - weight) * value;
    count += 1;
    return last / (1 - weight ** count);
  });
}

/** Round numbers between two ends. */
function ticks(low, high, most) {
  if (!(high > low)) return [low];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((part) => part * power).find((each) => each >= rough);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) found.push(Math.abs(value) < step * 1e-9 ? 0 : value);
  return found;
}

/** Round numbers between two powers of ten: powers of ten, and 2 and 5 times these if they are few. */
function powers(low, high, most) {
  const whole = ticks(Math.ceil(low), Math.floor(high), most).filter(Number.isInteger);
  const found = whole.length > 2 ? whole.map((power) => 10 ** power) : [];
  if (!found.length)
    for (let power = Math.floor(low); power <= high; power++) found.push(...[1, 2, 5].map((part) => part * 10 ** power));
  return found.filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
}

class Chart {
  /** `pick(iteration)` is called for clicks. A series has `name`, `colour`, `iterations`, `values`, `dashed`, `stepwise`. */
  constructor(canvas, { pick = null } = {}) {
    this.canvas = canvas;
    this.pick = pick;
    this.series = [];
    this.marks = []; // { iteration, colour, words }
    this.spans = []; // { first, last, words }
    this.isLogarithmic = false;
    this.smoothing = 0;
    this.zoomed = null;
    this.cursor = null;
    this.hover = null;
    this.draw = eachFrame(() => this.paint());
    new ResizeObserver(() => this.draw()).observe(canvas);
    this.listen();
  }

  set(values) {
    Object.assign(this, values);
    this.lines = this.series.map((one) => (this.smoothing ? smoothed(one.values, this.smoothing) : one.values));
    this.draw();
  }

  /** The ends of both axes. */
  ends() {
    let [low, high] = this.zoomed || [Infinity, -Infinity];
    if (!this.zoomed)
      for (const { iterations } of this.series) {
        low = Math.min(low, iterations[0]);
        high = Math.max(high, iterations[iterations.length - 1]);
      }
    if (!(high >= low)) [low, high] = [0, 1];
    if (high === low) high = low + 1;
    let bottom = Infinity, top = -Infinity;
    this.series.forEach(({ iterations, values }, number) => {
      values.forEach((raw, place) => {
        if (iterations[place] < low || iterations[place] > high) return;
        for (const value of [this.lines[number][place], this.smoothing ? undefined : raw])
          if (typeof value === "number" && (!this.isLogarithmic || value > 0)) {
            bottom = Math.min(bottom, value);
            top = Math.max(top, value);
          }
      });
    });
    if (!(top >= bottom)) [bottom, top] = this.isLogarithmic ? [0.1, 1] : [0, 1];
    if (this.isLogarithmic) {
      bottom = Math.log10(bottom);
      top = Math.log10(top);
    }
    const room = (top - bottom) * 0.06 || Math.abs(top) * 0.1 || 1;
    return { low, high, bottom: bottom >= 0 && bottom < room * 3 && !this.isLogarithmic ? 0 : bottom - room, top: top + room };
  }

  paint() {
    const { context, width, height } = fitted(this.canvas);
    const [text, dim, line] = ["--text", "--dim", "--line"].map(themed);
    context.clearRect(0, 0, width, height);
    if (!this.series.length) {
      this.scale = null;
      this.say(context, width, height);
      return;
    }
    const ends = this.ends();
    const plot = { left: 52, top: 10, right: width - 12, bottom: height - 24 };
    const x = (iteration) => plot.left + ((iteration - ends.low) / (ends.high - ends.low)) * (plot.right - plot.left);
    const y = (value) => plot.bottom - (((this.isLogarithmic ? Math.log10(value) : value) - ends.bottom) / (ends.top - ends.bottom)) * (plot.bottom - plot.top);
    this.scale = { x, y, plot, ends, back: (px) => ends.low + ((px - plot.left) / (plot.right - plot.left)) * (ends.high - ends.low) };
    context.font = FONT.small;
    context.lineWidth = 1;
    context.strokeStyle = line;
    context.fillStyle = dim;
    context.textBaseline = "middle";
    context.textAlign = "right";
    const wanted = Math.max(2, Math.floor((plot.bottom - plot.top) / 32));
    for (const value of this.isLogarithmic ? powers(ends.bottom, ends.top, wanted) : ticks(ends.bottom, ends.top, wanted)) {
      const at = y(value);
      if (!(at >= plot.top - 1 && at <= plot.bottom + 1)) continue;
      context.globalAlpha = 0.6;
      context.beginPath();
      context.moveTo(plot.left, at);
      context.lineTo(plot.right, at);
      context.stroke();
      context.globalAlpha = 1;
      context.fillText(short(value), plot.left - 6, at);
    }
    context.textAlign = "center";
    for (const value of ticks(ends.low, ends.high, Math.max(2, Math.floor((plot.right - plot.left) / 80))))
      context.fillText(value >= 1e5 ? quantity(Math.round(value)) : String(Math.round(value * 100) / 100), x(value), height - 10);
    context.save();
    context.beginPath();
    context.rect(plot.left, plot.top - 4, plot.right - plot.left + 2, plot.bottom - plot.top + 6);
    context.clip();
    const bad = themed("--error");
    for (const { first, last } of this.spans) {
      context.fillStyle = bad;
      context.globalAlpha = 0.15;
      context.fillRect(x(first), plot.top, Math.max(2, x(last) - x(first)), plot.bottom - plot.top);
      context.globalAlpha = 1;
    }
    this.series.forEach((one, number) => {
      if (this.smoothing) this.trace(context, one, one.values, 0.25, 1);
      this.trace(context, one, this.lines[number], 1, 1.8);
    });
    context.setLineDash([]);
    context.globalAlpha = 1;
    for (const { iteration, colour, words } of this.marks) this.mark(context, iteration, colour, words, [4, 3]);
    if (this.cursor !== null) this.mark(context, this.cursor, themed("--accent"), "", []);
    if (this.dragged) {
      context.fillStyle = themed("--accent");
      context.globalAlpha = 0.18;
      context.fillRect(Math.min(...this.dragged), plot.top, Math.abs(this.dragged[0] - this.dragged[1]), plot.bottom - plot.top);
      context.globalAlpha = 1;
    }
    context.restore();
    if (this.hover && !this.dragged) this.paintHover(context, text, width);
  }

  say(context, width, height) {
    context.font = FONT.small;
    context.fillStyle = themed("--dim");
    context.textAlign = "center";
    context.fillText("There are no curves to show.", width / 2, height / 2);
  }

  mark(context, iteration, colour, words, dash) {
    const { x, plot } = this.scale;
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = 1.4;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(x(iteration), plot.top);
    context.lineTo(x(iteration), plot.bottom);
    context.stroke();
    context.setLineDash([]);
    if (!words) return;
    const isLeft = x(iteration) > (plot.left + plot.right) / 2;
    const width = textWidth(words, FONT.small) + 4;
    const left = x(iteration) + (isLeft ? -2 - width : 2);
    context.fillStyle = themed("--page");
    context.fillRect(left, plot.top, width, 13);
    context.fillStyle = colour;
    context.textAlign = "left";
    context.fillText(words, left + 2, plot.top + 7);
  }

  trace(context, { iterations, colour, dashed, stepwise }, values, alpha, thick) {
    const { x, y, plot } = this.scale;
    context.strokeStyle = context.fillStyle = colour;
    context.globalAlpha = alpha;
    context.lineWidth = thick;
    context.setLineDash(dashed ? [5, 3] : []);
    context.beginPath();
    let before = null, alone = [];
    values.forEach((value, place) => {
      const usable = typeof value === "number" && (!this.isLogarithmic || value > 0);
      if (!usable) {
        if (typeof value === "string") alone.push(place);
        before = null;
        return;
      }
      const at = [x(iterations[place]), y(value)];
      if (!before) context.moveTo(...at);
      else {
        if (stepwise) context.lineTo(at[0], before[1]);
        context.lineTo(...at);
      }
      before = at;
    });
    context.stroke();
    if (values.length === 1 && before) context.fillRect(before[0] - 2.5, before[1] - 2.5, 5, 5);
    for (const place of alone) context.fillText("▾", x(iterations[place]), plot.top + 4); // NaN or infinite
  }

  nearest(px) {
    const wanted = this.scale.back(px);
    return this.series.map(({ iterations, values }) => {
      let low = 0, high = iterations.length - 1;
      while (high - low > 1) {
        const middle = (low + high) >> 1;
        if (iterations[middle] < wanted) low = middle;
        else high = middle;
      }
      const place = wanted - iterations[low] < iterations[high] - wanted ? low : high;
      return { iteration: iterations[place], value: values[place] };
    });
  }

  paintHover(context, ink, width) {
    const { x, plot } = this.scale;
    const found = this.nearest(this.hover[0]);
    const at = x(found.reduce((best, each) => (Math.abs(x(each.iteration) - this.hover[0]) < Math.abs(x(best) - this.hover[0]) ? each.iteration : best), found[0].iteration));
    context.strokeStyle = themed("--dim");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(at, plot.top);
    context.lineTo(at, plot.bottom);
    context.stroke();
    const rows = this.series.map((one, number) => ({ colour: one.colour, words: `${clipped(one.name, FONT.small, 190)}  ${short(found[number].value)}  @${found[number].iteration}` })).slice(0, 12);
    const wide = Math.max(...rows.map(({ words }) => textWidth(words, FONT.small))) + 26;
    const left = at + wide + 12 > width ? at - wide - 8 : at + 8;
    const high = rows.length * 16 + 8;
    context.fillStyle = themed("--page");
    context.strokeStyle = themed("--line");
    context.beginPath();
    context.roundRect(left, plot.top, wide, high, 5);
    context.fill();
    context.stroke();
    context.textAlign = "left";
    rows.forEach(({ colour, words }, row) => {
      context.fillStyle = colour;
      context.fillRect(left + 7, plot.top + row * 16 + 9, 9, 6);
      context.fillStyle = ink;
      context.fillText(words, left + 20, plot.top + row * 16 + 12);
    });
  }

  listen() {
    const { canvas } = this;
    let start = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.scale) return;
      canvas.setPointerCapture(event.pointerId);
      start = event.offsetX;
    });
    canvas.addEventListener("pointermove", (event) => {
      this.hover = [event.offsetX, event.offsetY];
      this.dragged = start !== null && Math.abs(event.offsetX - start) > 5 ? [start, event.offsetX] : null;
      this.draw();
    });
    canvas.addEventListener("pointerup", (event) => {
      if (start === null || !this.scale) return;
      if (this.dragged) {
        const ends = this.dragged.map(this.scale.back).sort((one, other) => one - other);
        if (ends[1] - ends[0] > 1e-9) this.zoomed = ends;
      } else if (this.pick) {
        this.pick(this.scale.back(event.offsetX));
      }
      start = this.dragged = null;
      this.draw();
    });
    canvas.addEventListener("pointerleave", () => { this.hover = null; this.draw(); });
    canvas.addEventListener("dblclick", () => { this.zoomed = null; this.draw(); });
  }
}

/** The values of debug_info of a run: a row for each layer, a column for each iteration. */
class HeatMap {
  /** `pick(column, layer name)` is called for clicks. */
  constructor(canvas, pick) {
    this.canvas = canvas;
    this.pick = pick;
    this.draw = eachFrame(() => this.paint());
    this.hover = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
    const at = (event) => {
      if (!this.plot) return null;
      const { left, top, width, height } = this.plot;
      const column = Math.floor(((event.offsetX - left) / width) * this.columns), row = Math.floor(((event.offsetY - top) / height) * this.rows.length);
      return column >= 0 && column < this.columns && row >= 0 && row < this.rows.length ? { column, row, x: event.offsetX, y: event.offsetY } : null;
    };
    canvas.addEventListener("pointermove", (event) => { this.hover = at(event); this.draw(); });
    canvas.addEventListener("pointerleave", () => { this.hover = null; this.draw(); });
    canvas.addEventListener("click", (event) => {
      const found = at(event);
      if (found) this.pick(found.column, this.rows[found.row].name);
    });
  }

  /** `about` has `values` of a run, `measure`, `colouring`, `column`, `guilty`, `selected` (names of layers), `nothing` (why it is empty). */
  set(about) {
    Object.assign(this, about);
    this.rows = this.values.layers
      .map((name, row) => ({ name, cells: this.values[this.measure][row] }))
      .filter(({ cells }) => cells && cells.length);
    this.columns = this.values.iterations.length;
    const image = document.createElement("canvas");
    image.width = Math.max(1, this.columns);
    image.height = Math.max(1, this.rows.length);
    const pixels = new ImageData(image.width, image.height);
    this.rows.forEach(({ cells }, row) => cells.forEach((value, column) => {
      const rgb = this.colouring.colourOf(value);
      if (rgb) pixels.data.set([...rgb, 255], 4 * (row * image.width + column));
    }));
    image.getContext("2d").putImageData(pixels, 0, 0);
    this.image = image;
    this.draw();
  }

  paint() {
    const { context, width, height } = fitted(this.canvas);
    context.clearRect(0, 0, width, height);
    if (!this.rows) return;
    const [dim, text] = ["--dim", "--text"].map(themed);
    context.font = FONT.small;
    context.fillStyle = dim;
    context.textBaseline = "middle";
    if (!this.rows.length) {
      context.textAlign = "center";
      context.fillText(this.nothing, width / 2, height / 2);
      return;
    }
    const room = Math.min(150, Math.max(...this.rows.map(({ name }) => textWidth(name, FONT.small))), width * 0.35);
    const plot = (this.plot = { left: room + 10, top: 6, width: width - room - 18, height: height - 28 });
    context.imageSmoothingEnabled = false;
    context.fillStyle = themed("--unknown");
    context.fillRect(plot.left, plot.top, plot.width, plot.height);
    context.drawImage(this.image, plot.left, plot.top, plot.width, plot.height);
    const [cellWidth, cellHeight] = [plot.width / this.columns, plot.height / this.rows.length];
    const every = Math.max(1, Math.ceil(12 / cellHeight));
    context.textAlign = "right";
    this.rows.forEach(({ name }, row) => {
      const isGuilty = name === this.guilty, isSelected = this.selected.has(name);
      if (row % every && !isGuilty && !isSelected) return;
      context.fillStyle = isGuilty ? themed("--error") : isSelected ? themed("--accent") : dim;
      context.fillText(`${isGuilty ? "✖ " : ""}${clipped(name, FONT.small, room)}`, plot.left - 6, plot.top + (row + 0.5) * cellHeight);
      if (isGuilty || isSelected) {
        context.strokeStyle = context.fillStyle;
        context.lineWidth = 1.5;
        context.strokeRect(plot.left, plot.top + row * cellHeight, plot.width, Math.max(2, cellHeight));
      }
    });
    context.textAlign = "center";
    context.fillStyle = dim;
    const step = Math.max(1, Math.ceil(60 / cellWidth));
    for (let column = 0; column < this.columns; column += step)
      context.fillText(String(this.values.iterations[column]), plot.left + (column + 0.5) * cellWidth, height - 10);
    if (this.column !== null) {
      context.strokeStyle = themed("--text");
      context.lineWidth = 2;
      context.strokeRect(plot.left + this.column * cellWidth, plot.top - 2, Math.max(2, cellWidth), plot.height + 4);
    }
    if (this.hover) {
      const { row, column, x, y } = this.hover;
      const words = `${this.rows[row].name}  ${short(this.rows[row].cells[column])}  @${this.values.iterations[column]}`;
      const wide = textWidth(words, FONT.small) + 14;
      const left = x + wide + 14 > width ? x - wide - 8 : x + 10, top = Math.max(4, y - 26);
      context.fillStyle = themed("--page");
      context.strokeStyle = themed("--line");
      context.lineWidth = 1;
      context.beginPath();
      context.roundRect(left, top, wide, 20, 4);
      context.fill();
      context.stroke();
      context.fillStyle = text;
      context.textAlign = "left";
      context.fillText(words, left + 7, top + 10);
    }
  }
}
