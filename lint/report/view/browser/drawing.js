"use strict";
// The drawing of a net on a canvas: what is in sight is drawn, and only that, so that a net of 1,000 layers can be panned as
// fast as one of ten. A list of layers beside it says the same to those who cannot see it.

const CLOSEST = 3, FARTHEST = 0.02;
const READABLE = 0.42; // the scale from which texts are drawn
const LABELLED = 0.52; // the scale from which lines carry the shapes of blobs
const SMALLEST = 0.2; // the scale below which nodes are spots of colour
const MARGIN = 24;

class Drawing {
  /** `events` has `select(layer or null, node)`, `toggle(block)` and `said(text)`. */
  constructor(canvas, events) {
    this.canvas = canvas;
    this.events = events;
    this.camera = { x: 0, y: 0, k: 1 };
    this.picture = null;
    this.colouring = null;
    this.selected = null; // id of a node
    this.guilty = { names: new Set(), words: "" }; // names of layers, and what is said of them
    this.draw = eachFrame(() => this.paint());
    this.readTheme();
    new ResizeObserver(() => this.draw()).observe(canvas);
    this.listen();
  }

  readTheme() {
    const names = ["text", "dim", "page", "box", "line", "accent", "error", "warning", "advice", "unknown", "edge",
      "of-weights", "of-norm", "of-activation", "of-pool", "of-shape", "of-data", "of-loss", "of-unknown", "of-other", "of-block"];
    this.theme = Object.fromEntries(names.map((name) => [name, themed(`--${name}`)]));
    this.draw();
  }

  show(picture, shown) {
    this.picture = picture;
    this.shown = shown;
    for (const edge of picture.edges) {
      const { from, to } = edge;
      const line = [[from.x, from.y + from.height / 2], ...edge.points.filter(([, y]) => y > from.y + from.height / 2 + 2 && y < to.y - to.height / 2 - 2), [to.x, to.y - to.height / 2]];
      edge.line = line;
      const xs = line.map(([x]) => x), ys = line.map(([, y]) => y);
      edge.box = [Math.min(...xs) - 4, Math.min(...ys), Math.max(...xs) + 4, Math.max(...ys)];
      edge.path = new Path2D();
      trace(edge.path, line);
    }
    const labelled = new Map();
    picture.edges.forEach((edge) => {
      const words = [...new Set(edge.labels)].join(", ");
      const same = labelled.get(edge.from.id);
      edge.label = same === words ? "" : words; // a blob that several layers read is labelled once, where it leaves
      edge.isFirst = same === undefined;
      if (same === undefined) labelled.set(edge.from.id, words);
    });
    this.regions = this.regionsOf(picture, shown);
    this.bounds = boxOf(picture.nodes);
    this.draw();
  }

  /** The expanded blocks, outer ones first, with the box around their nodes. */
  regionsOf(picture, shown) {
    const held = new Map();
    for (const node of picture.nodes) {
      const host = shown.net.layers[node.layers[0]].host;
      let block = node.block >= 0 ? shown.net.blocks[node.block].parent : shown.innermost[host];
      for (; block >= 0; block = shown.net.blocks[block].parent) {
        if (!held.has(block)) held.set(block, []);
        held.get(block).push(node);
      }
    }
    return [...held].sort(([one], [other]) => one - other).map(([block, nodes]) => {
      const [left, top, right, bottom] = boxOf(nodes);
      const { title, times, parent } = shown.net.blocks[block];
      const inside = times > 1 ? 18 : 0; // for the titles of the blocks in it
      const grow = parent < 0 ? 16 : 9;
      return { block, title: times > 1 ? `${times} × ${title}` : title, box: [left - grow, top - 19 - inside, right + grow, bottom + (inside ? 14 : 9)] };
    });
  }

  // -- painting --------------------------------------------------------------------------------------------

  paint() {
    const { context, width, height } = fitted(this.canvas);
    const { theme } = this;
    context.fillStyle = theme.page;
    context.fillRect(0, 0, width, height);
    this.drawn = 0;
    if (!this.picture) return;
    const { x, y, k } = this.camera;
    context.translate(-x * k, -y * k);
    context.scale(k, k);
    const sight = [x, y, x + width / k, y + height / k];
    const isReadable = k >= READABLE;
    this.right = sight[2];
    for (const region of this.regions) if (meets(region.box, sight)) this.paintRegion(context, region);
    context.lineWidth = Math.max(1.1, 0.6 / k);
    context.strokeStyle = theme.edge;
    context.fillStyle = theme.edge;
    for (const edge of this.picture.edges) {
      if (!meets(edge.box, sight)) continue;
      context.stroke(edge.path);
      if (isReadable) arrow(context, edge.line[edge.line.length - 1]);
    }
    if (isReadable) for (const region of this.regions) if (meets(region.box, sight)) this.paintTitle(context, region);
    if (this.selected) this.paintSelectedEdges(context, sight, k);
    if (k >= LABELLED) for (const edge of this.picture.edges) if (edge.label && meets(edge.box, sight)) this.paintLabel(context, edge);
    for (const node of this.picture.nodes) {
      if (node.x + node.width / 2 < sight[0] || node.x - node.width / 2 > sight[2]) continue;
      if (node.y + node.height / 2 < sight[1] || node.y - node.height / 2 > sight[3]) continue;
      this.paintNode(context, node, isReadable, k);
      this.drawn += 1;
    }
    this.canvas.dataset.drawn = this.drawn;
  }

  paintRegion(context, { box: [left, top, right, bottom] }) {
    context.beginPath();
    context.roundRect(left, top, right - left, bottom - top, 10);
    context.fillStyle = this.theme.box;
    context.strokeStyle = this.theme.line;
    context.lineWidth = 1;
    context.fill();
    context.stroke();
  }

  paintTitle(context, { title, box: [left, top, right] }) {
    const words = `⊟ ${clipped(title, FONT.small, Math.max(60, right - left - 20))}`;
    context.font = FONT.small;
    context.fillStyle = this.theme.box;
    context.fillRect(left + 4, top + 2, textWidth(words, FONT.small) + 6, 14);
    context.fillStyle = this.theme.dim;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(words, left + 7, top + 9);
  }

  paintSelectedEdges(context, sight, k) {
    context.strokeStyle = this.theme.accent;
    context.lineWidth = Math.max(2, 1.5 / k);
    for (const edge of this.picture.edges)
      if ((edge.from.id === this.selected || edge.to.id === this.selected) && meets(edge.box, sight)) context.stroke(edge.path);
  }

  paintLabel(context, edge) {
    const [start, next] = edge.line;
    const x = edge.isFirst ? start[0] : (edge.line[edge.line.length - 1][0]);
    const below = edge.from.block >= 0 ? 15 : 9; // a block is drawn as a stack
    const y = edge.isFirst ? start[1] + below : edge.line[edge.line.length - 1][1] - 14;
    if (edge.isFirst && next[1] - start[1] < below + 5) return;
    context.font = FONT.small;
    const width = textWidth(edge.label, FONT.small);
    context.fillStyle = this.theme.page;
    context.globalAlpha = 0.85;
    context.fillRect(x - width / 2 - 2, y - 6, width + 4, 13);
    context.globalAlpha = 1;
    context.fillStyle = this.theme.dim;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(edge.label, x, y);
  }

  paintNode(context, node, isReadable, k) {
    const { theme, colouring } = this;
    const left = node.x - node.width / 2, top = node.y - node.height / 2;
    const value = colouring.isNumeric ? colouring.valueOf(node) : null;
    const rgb = colouring.isNumeric ? colouring.colourOf(value) : null;
    const bySeverity = colouring.measure === "findings";
    let fill = theme.box, ink = theme.text, soft = theme.dim, border = theme.line, strip = theme[`of-${node.category}`], words = node.shownSubtitle;
    if (rgb) {
      fill = `rgb(${rgb})`;
      ink = soft = inkOn(rgb);
      strip = null;
      words = colouring.text(value);
    } else if (colouring.isNumeric) {
      fill = value === 0 || value === undefined ? theme.box : theme.unknown;
      soft = theme.text;
      strip = null;
      words = colouring.text(value);
    } else if (bySeverity) {
      fill = theme.page;
      border = theme[node.severity || "edge"];
      strip = node.severity ? theme[node.severity] : null;
      soft = theme.text;
      if (node.severity) words = node.codes;
      else if (!isReadable) fill = theme.unknown;
    }
    if (k < SMALLEST && node.id !== this.selected && !this.isGuilty(node)) { // a few pixels: a spot of colour
      context.fillStyle = strip || fill;
      context.fillRect(left, top, node.width, node.height);
      if (node.severity) {
        context.fillStyle = theme[node.severity];
        context.fillRect(left + node.width - 4 / k, top - 2 / k, 5 / k, 5 / k);
      }
      return;
    }
    if (node.block >= 0) { // a stack of cards
      context.fillStyle = fill;
      context.strokeStyle = border;
      context.lineWidth = 1;
      for (const shift of [6, 3]) {
        context.beginPath();
        context.roundRect(left + shift, top + shift, node.width, node.height, 7);
        context.fill();
        context.stroke();
      }
    }
    context.beginPath();
    context.roundRect(left, top, node.width, node.height, 7);
    context.fillStyle = fill;
    context.fill();
    if (strip) {
      context.fillStyle = strip;
      context.globalAlpha = isReadable ? 0.16 : 1;
      context.fill();
      context.globalAlpha = 1;
      if (isReadable) {
        context.beginPath();
        context.roundRect(left, top, 6, node.height, [7, 0, 0, 7]);
        context.fill();
      }
    }
    const isSelected = node.id === this.selected;
    const isGuilty = this.isGuilty(node);
    context.lineWidth = isSelected || isGuilty ? Math.max(2.5, 2 / k) : 1;
    context.strokeStyle = isGuilty ? theme.error : isSelected ? theme.accent : border;
    if (isGuilty) context.setLineDash([6, 3]);
    context.beginPath();
    context.roundRect(left, top, node.width, node.height, 7);
    context.stroke();
    context.setLineDash([]);
    if (isGuilty && isSelected) {
      context.strokeStyle = theme.accent;
      context.strokeRect(left - 4, top - 4, node.width + 8, node.height + 8);
    }
    if (node.severity && (isReadable || !bySeverity)) {
      const radius = isReadable ? 5 : Math.max(5, 4 / k);
      context.beginPath();
      context.arc(left + node.width - (node.block >= 0 ? 30 : 11), top + 13, radius, 0, 7);
      context.fillStyle = theme[node.severity];
      context.fill();
      context.lineWidth = 1.5;
      context.strokeStyle = theme.page;
      context.stroke();
    }
    if (!isReadable) return;
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    context.font = FONT.title;
    context.fillStyle = ink;
    const start = left + PADDING + 1;
    context.fillText(node.shownTitle, start, top + 19);
    context.font = FONT.text;
    context.fillStyle = soft;
    context.fillText(words, start, top + 36);
    context.font = FONT.small;
    let line = top + 51;
    if (node.shownChips) {
      context.fillText(node.shownChips, start, line);
      line += 15;
    }
    if (node.shownFar) context.fillText(node.shownFar, start, line);
    if (node.block >= 0) {
      context.textAlign = "right";
      context.font = FONT.title;
      context.fillText("⊞", left + node.width - 8, top + 19);
    }
    if (isGuilty) this.paintBlame(context, node);
  }

  /** Says beside a node what it is to blame for, or above it where there is no room on the right. */
  paintBlame(context, node) {
    const words = `✖ ${this.guilty.words}`;
    const width = textWidth(words, FONT.title) + 8;
    const isBeside = node.x + node.width / 2 + width + 16 < this.right;
    const left = isBeside ? node.x + node.width / 2 + 7 : node.x - width / 2;
    const middle = isBeside ? node.y : node.y - node.height / 2 - 15;
    context.textAlign = "left";
    context.font = FONT.title;
    context.fillStyle = this.theme.page;
    context.fillRect(left, middle - 9, width, 18);
    context.fillStyle = this.theme.error;
    context.fillText(words, left + 4, middle + 4);
  }

  isGuilty(node) {
    const { names } = this.guilty;
    return names.size > 0 && node.layers.some((index) => names.has(this.shown.net.layers[index].name));
  }

  // -- the camera ------------------------------------------------------------------------------------------

  size() {
    return [this.canvas.clientWidth || 1, this.canvas.clientHeight || 1];
  }

  /** Shows all of the net, or of a long one its top at a scale at which it can be read. */
  fit({ whole = false } = {}) {
    if (!this.picture) return;
    const [left, top, right, bottom] = this.bounds;
    const [width, height] = this.size();
    const all = Math.min((width - 2 * MARGIN) / (right - left), (height - 2 * MARGIN) / (bottom - top), 1.25);
    const across = Math.min((width - 2 * MARGIN) / (right - left), 1);
    const k = whole || all > 0.55 ? all : Math.max(all, Math.min(across, 0.9), 0.45);
    this.camera.k = Math.max(k, FARTHEST);
    const head = this.headOf(left, right);
    this.camera.x = (k * (right - left) > width ? head : (left + right) / 2) - width / 2 / this.camera.k;
    this.camera.y = all >= this.camera.k - 1e-9 ? (top + bottom) / 2 - height / 2 / this.camera.k : top - MARGIN / this.camera.k;
    this.draw();
  }

  headOf(left, right) {
    const first = this.picture.nodes.reduce((best, node) => (node.y < best.y ? node : best), this.picture.nodes[0]);
    return first ? first.x : (left + right) / 2;
  }

  zoom(factor, at) {
    const [width, height] = this.size();
    const [px, py] = at || [width / 2, height / 2];
    const k = Math.min(Math.max(this.camera.k * factor, FARTHEST), CLOSEST);
    this.camera.x += px / this.camera.k - px / k;
    this.camera.y += py / this.camera.k - py / k;
    this.camera.k = k;
    this.draw();
  }

  pan(dx, dy) {
    this.camera.x -= dx / this.camera.k;
    this.camera.y -= dy / this.camera.k;
    this.keepInSight();
    this.draw();
  }

  /** Never lets the net leave the canvas altogether. */
  keepInSight() {
    if (!this.picture) return;
    const [left, top, right, bottom] = this.bounds;
    const [width, height] = this.size().map((size) => size / this.camera.k);
    const rest = 60 / this.camera.k;
    this.camera.x = Math.min(Math.max(this.camera.x, left - width + rest), right - rest);
    this.camera.y = Math.min(Math.max(this.camera.y, top - height + rest), bottom - rest);
  }

  /** Brings a node into the middle, closer if it cannot be read. */
  reach(node) {
    const [width, height] = this.size();
    this.camera.k = Math.max(this.camera.k, 0.8);
    const [left, top, right, bottom] = this.bounds;
    const middle = (place, low, high, size) => { // as near to the middle as no empty space beyond the net allows
      const [first, last] = [low - MARGIN / this.camera.k, high + MARGIN / this.camera.k - size];
      return last < first ? (first + last) / 2 : Math.min(Math.max(place - size / 2, first), last);
    };
    this.camera.x = middle(node.x, left, right, width / this.camera.k);
    this.camera.y = middle(node.y, top, bottom, height / this.camera.k);
    this.draw();
  }

  isInSight(node) {
    const [width, height] = this.size();
    const { x, y, k } = this.camera;
    return k >= READABLE && meets([node.x - node.width / 2, node.y - node.height / 2, node.x + node.width / 2, node.y + node.height / 2], [x + 40 / k, y + 40 / k, x + (width - 40) / k, y + (height - 40) / k]);
  }

  // -- pointer and keys ------------------------------------------------------------------------------------

  at(px, py) {
    if (!this.picture) return {};
    const x = this.camera.x + px / this.camera.k, y = this.camera.y + py / this.camera.k;
    const inside = ([left, top, right, bottom]) => x >= left && x <= right && y >= top && y <= bottom;
    const node = this.picture.nodes.find((each) => Math.abs(each.x - x) <= each.width / 2 && Math.abs(each.y - y) <= each.height / 2);
    const region = node ? null : [...this.regions].reverse().find(({ box: [left, top, right] }) => inside([left, top, right, top + 18]));
    return { node, region, isOnButton: Boolean(node && node.block >= 0 && x > node.x + node.width / 2 - 26 && y < node.y - node.height / 2 + 26) };
  }

  listen() {
    const { canvas } = this;
    const pointers = new Map();
    let moved = 0, spread = 0;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
      moved = 0;
      spread = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) {
        const { node, region } = this.at(event.offsetX, event.offsetY);
        canvas.style.cursor = node || region ? "pointer" : "grab";
        return;
      }
      const now = [event.offsetX, event.offsetY];
      pointers.set(event.pointerId, now);
      const points = [...pointers.values()];
      if (points.length === 2) {
        const apart = Math.hypot(points[0][0] - points[1][0], points[0][1] - points[1][1]);
        if (spread) this.zoom(apart / spread, [(points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2]);
        spread = apart;
      }
      moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
      if (moved > 3) {
        canvas.style.cursor = "grabbing";
        this.pan((now[0] - before[0]) / points.length, (now[1] - before[1]) / points.length);
      }
    });
    const release = (event) => {
      const held = pointers.delete(event.pointerId);
      if (!held || event.type === "pointercancel" || moved > 3) return;
      const { node, region, isOnButton } = this.at(event.offsetX, event.offsetY);
      if (region) this.events.toggle(region.block);
      else if (isOnButton) this.events.toggle(node.block);
      else this.choose(node || null);
    };
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("dblclick", (event) => {
      const { node } = this.at(event.offsetX, event.offsetY);
      if (node && node.block >= 0) this.events.toggle(node.block);
      else if (!node) this.zoom(1.5, [event.offsetX, event.offsetY]);
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const unit = event.deltaMode ? 30 : 1;
      if (event.ctrlKey || event.metaKey || event.altKey) this.zoom(Math.exp(-event.deltaY * unit * 0.003), [event.offsetX, event.offsetY]);
      else if (event.shiftKey && !event.deltaX) this.pan(-event.deltaY * unit, 0);
      else this.pan(-event.deltaX * unit, -event.deltaY * unit);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.press(event));
  }

  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.picture) return;
    const { selected, picture } = this;
    const node = selected && picture.byId.get(selected);
    const below = (each) => picture.edges.filter((edge) => edge.from === each).map((edge) => edge.to);
    const above = (each) => picture.edges.filter((edge) => edge.to === each).map((edge) => edge.from);
    const nearest = (list) => list.sort((one, other) => Math.abs(one.x - node.x) - Math.abs(other.x - node.x))[0];
    const beside = (sign) => picture.nodes
      .filter((each) => Math.abs(each.y - node.y) < 60 && sign * (each.x - node.x) > 1)
      .sort((one, other) => sign * (one.x - other.x))[0];
    const order = (step) => {
      const sorted = [...picture.nodes].sort((one, other) => one.layers[0] - other.layers[0]);
      return sorted[node ? sorted.indexOf(node) + step : step > 0 ? 0 : sorted.length - 1];
    };
    const keys = {
      ArrowDown: () => this.choose((node ? nearest(below(node)) : null) || order(1), true),
      ArrowUp: () => this.choose((node ? nearest(above(node)) : null) || order(-1), true),
      ArrowRight: () => (node ? this.choose(beside(1), true) : this.pan(-60, 0)),
      ArrowLeft: () => (node ? this.choose(beside(-1), true) : this.pan(60, 0)),
      PageDown: () => this.pan(0, -this.size()[1] * 0.8),
      PageUp: () => this.pan(0, this.size()[1] * 0.8),
      Home: () => this.fit(),
      Enter: () => node && (node.block >= 0 ? this.events.toggle(node.block) : this.events.open(node)),
      u: () => node && this.events.unfold(node),
      c: () => node && this.events.enclose(node),
      Escape: () => this.choose(null),
      "+": () => this.zoom(1.25),
      "=": () => this.zoom(1.25),
      "-": () => this.zoom(0.8),
      0: () => this.fit({ whole: true }),
    };
    const work = keys[event.key];
    if (!work) return;
    event.preventDefault();
    work();
  }

  choose(node, follows = false) {
    if (node === undefined) return;
    this.selected = node ? node.id : null;
    if (node && follows && !this.isInSight(node)) this.reach(node);
    this.events.select(node);
    this.draw();
  }
}

const meets = (one, other) => one[0] <= other[2] && one[2] >= other[0] && one[1] <= other[3] && one[3] >= other[1];

function boxOf(nodes) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const { x, y, width, height } of nodes) {
    box[0] = Math.min(box[0], x - width / 2);
    box[1] = Math.min(box[1], y - height / 2);
    box[2] = Math.max(box[2], x + width / 2);
    box[3] = Math.max(box[3], y + height / 2);
  }
  return nodes.length ? box : [0, 0, 1, 1];
}

/** A line that leaves and arrives vertically. */
function trace(path, line) {
  path.moveTo(...line[0]);
  for (let place = 1; place < line.length; place++) {
    const [x0, y0] = line[place - 1], [x1, y1] = line[place];
    const middle = (y0 + y1) / 2;
    path.bezierCurveTo(x0, middle, x1, middle, x1, y1);
  }
}

function arrow(context, [x, y]) {
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x - 4, y - 7);
  context.lineTo(x + 4, y - 7);
  context.fill();
}
