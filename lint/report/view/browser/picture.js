"use strict";
// What is drawn of a net: layers with what is folded into them, collapsed blocks, and lines between these.

const FONT = { title: "600 13px system-ui, sans-serif", text: "12px system-ui, sans-serif", small: "11px system-ui, sans-serif" };
const WIDEST = 232, NARROWEST = 96, PADDING = 11;
const MANY = 120; // nodes from which blocks are collapsed at first

const measuring = document.createElement("canvas").getContext("2d");
const widths = new Map();

function textWidth(text, font) {
  const key = font + text;
  if (!widths.has(key)) {
    measuring.font = font;
    widths.set(key, measuring.measureText(text).width);
  }
  return widths.get(key);
}

/** A text that is no wider than that: names keep their ends, which tell them apart. */
function clipped(text, font, width) {
  if (textWidth(text, font) <= width) return text;
  let kept = text.length - 1;
  const cut = () => `${text.slice(0, Math.ceil(kept / 2))}…${text.slice(text.length - Math.floor(kept / 2))}`;
  while (kept > 2 && textWidth(cut(), font) > width) kept -= Math.max(1, Math.floor(kept / 20));
  return cut();
}

/** How a net is shown: what is collapsed, and which layers are unfolded. */
class Shown {
  constructor(net) {
    this.net = net;
    this.foldsSmall = true;
    this.unfolded = new Set();
    this.innermost = net.layers.map(() => -1);
    net.blocks.forEach((block, number) => block.layers.forEach((layer) => { this.innermost[layer] = number; }));
    this.members = net.layers.map(() => []);
    net.layers.forEach((layer, index) => this.members[layer.host].push(index));
    const hosts = net.layers.filter((layer, index) => layer.host === index).length;
    this.collapsed = new Set();
    if (hosts > MANY) this.collapseAll();
  }

  collapseAll() {
    this.net.blocks.forEach((_, number) => this.collapsed.add(number));
  }

  expandAll() {
    this.collapsed.clear();
  }

  /** The outermost collapsed block that a layer is in, -1 for none. */
  blockOf(layer) {
    let found = -1;
    for (let block = this.innermost[this.net.layers[layer].host]; block >= 0; block = this.net.blocks[block].parent)
      if (this.collapsed.has(block)) found = block;
    return found;
  }

  isFolded(layer) {
    const { host } = this.net.layers[layer];
    return host !== layer && this.foldsSmall && !this.unfolded.has(host);
  }

  /** The node that a layer is drawn in. */
  nodeOf(layer) {
    const block = this.blockOf(layer);
    if (block >= 0) return `b${block}`;
    return `l${this.isFolded(layer) ? this.net.layers[layer].host : layer}`;
  }

  /** Makes a layer visible as a node of its own, or in the layer that it is folded into. */
  reveal(layer) {
    let changed = false;
    for (let block = this.innermost[this.net.layers[layer].host]; block >= 0; block = this.net.blocks[block].parent)
      changed = this.collapsed.delete(block) || changed;
    return changed;
  }
}

/** The nodes, edges and pieces of a drawing, before anything is placed. */
function pictureOf(shown) {
  const { net } = shown;
  const nodes = new Map();
  const add = (id, make) => {
    if (!nodes.has(id)) nodes.set(id, { id, layers: [], far: [], ...make() });
    return nodes.get(id);
  };
  net.layers.forEach((layer, index) => {
    const id = shown.nodeOf(index);
    const node = add(id, () => (id[0] === "b" ? { block: Number(id.slice(1)) } : { layer: Number(id.slice(1)), block: -1 }));
    node.layers.push(index);
  });
  const edges = new Map();
  for (const [source, target, top, bottom, far] of net.edges) {
    const from = shown.nodeOf(source), to = shown.nodeOf(target);
    if (from === to) continue;
    const blob = net.layers[source].tops[top];
    const name = blob ? blob.name : net.layers[target].bottoms[bottom];
    if (far) {
      nodes.get(to).far.push(name);
      continue;
    }
    const key = `${from} ${to}`;
    if (!edges.has(key)) edges.set(key, { from: nodes.get(from), to: nodes.get(to), labels: [], source });
    edges.get(key).labels.push(shapeText(blob && blob.shape));
  }
  const pieces = [];
  const pieceOf = new Map();
  for (const { anchor, layers } of net.pieces) {
    const held = anchor < 0 ? null : shown.nodeOf(anchor);
    const own = [];
    for (const host of layers)
      for (const member of shown.members[host]) {
        const id = shown.nodeOf(member);
        if (!pieceOf.has(id)) {
          pieceOf.set(id, -1);
          own.push(id);
        }
      }
    if (!own.length) continue;
    const last = pieces[pieces.length - 1];
    const piece = last && last.anchor === held ? last : { anchor: held, ids: [], edges: [] };
    if (piece !== last) pieces.push(piece);
    piece.ids.push(...own);
    own.forEach((id) => pieceOf.set(id, pieces.length - 1));
  }
  for (const edge of edges.values()) pieces[pieceOf.get(edge.to.id)].edges.push(edge);
  nodes.forEach((node) => describe(node, shown));
  return { nodes: [...nodes.values()], edges: pieces.flatMap((piece) => piece.edges), pieces, byId: nodes, shown };
}

/** What is written in a node, and how large that makes it. */
function describe(node, shown) {
  const { net } = shown;
  const numbers = node.layers.flatMap((index) => net.layers[index].findings);
  node.findings = [...new Set(numbers)];
  node.severity = worst(node.findings);
  let chips = "";
  if (node.block >= 0) {
    const block = net.blocks[node.block];
    node.title = block.title;
    const repeats = block.times > 1 ? `${block.times} × ` : "";
    const inner = net.blocks.filter((each) => each.parent === node.block).length;
    node.subtitle = `${repeats}${repeats && inner ? `${Math.round(node.layers.length / block.times)} layers` : `${node.layers.length} layers`}`;
    node.category = "block";
  } else {
    const layer = net.layers[node.layer];
    node.title = layer.name || "(no name)";
    node.subtitle = [layer.type, windowText(layer)].filter(Boolean).join(" ");
    node.category = layer.kind;
    chips = node.layers.slice(1).map((index) => net.layers[index].type).join(" · ");
  }
  const far = [...new Set(node.far)].join(", ");
  const room = WIDEST - 2 * PADDING - (node.severity ? 16 : 0) - (node.block >= 0 ? 22 : 0);
  node.shownTitle = clipped(node.title, FONT.title, room);
  node.shownSubtitle = clipped(node.subtitle, FONT.text, room);
  node.shownChips = chips && clipped(`+ ${chips}`, FONT.small, room);
  node.shownFar = far && clipped(`⤷ ${far}`, FONT.small, room);
  const wanted = Math.max(
    textWidth(node.shownTitle, FONT.title) + (node.severity ? 18 : 0) + (node.block >= 0 ? 22 : 0),
    textWidth(node.shownSubtitle, FONT.text), 66,
    node.shownChips ? textWidth(node.shownChips, FONT.small) : 0,
    node.shownFar ? textWidth(node.shownFar, FONT.small) : 0,
  );
  node.width = Math.max(NARROWEST, Math.ceil(wanted) + 2 * PADDING);
  const codes = [...new Set(node.findings.map((number) => VIEW.findings[number].code))];
  node.codes = codes.length > 2 ? `${codes[0]} +${codes.length - 1}` : codes.join(", "); // fits into the narrowest
  node.height = 44 + (node.shownChips ? 15 : 0) + (node.shownFar ? 15 : 0);
}

/** Places pictures in a worker. `then` gets the picture with x and y for its nodes and points for its edges. */
class Layout {
  constructor(progress) {
    this.progress = progress;
    this.job = 0;
    this.worker = null;
  }

  place(picture, then) {
    if (this.worker && this.waiting) { // what is asked for later is all that counts
      this.worker.terminate();
      this.worker = null;
    }
    if (!this.worker) {
      const parts = ["dagre-code", "layout-code"].map((id) => document.getElementById(id).textContent);
      const address = URL.createObjectURL(new Blob([parts.join("\n;\n")], { type: "text/javascript" }));
      this.worker = new Worker(address);
      URL.revokeObjectURL(address);
      this.worker.onmessage = ({ data }) => this.receive(data);
      this.worker.onerror = (event) => { this.waiting = null; this.progress(null, event.message); };
    }
    this.waiting = { picture, then };
    this.job += 1;
    this.progress(0);
    const pieces = picture.pieces.map(({ anchor, ids, edges }) => {
      const all = anchor === null ? ids : [anchor, ...ids];
      const places = new Map(all.map((id, place) => [id, place]));
      return {
        anchored: anchor !== null,
        room: 17 * this.opened(picture, ids), // for the titles of the blocks that begin here
        ids: all,
        sizes: all.map((id) => [picture.byId.get(id).width, picture.byId.get(id).height]),
        edges: edges.map(({ from, to }) => [places.get(from.id), places.get(to.id)]),
      };
    });
    this.worker.postMessage({ job: this.job, pieces });
  }

  /** How many expanded blocks begin in a piece. */
  opened(picture, ids) {
    const { shown } = picture;
    const hosts = new Set(ids.filter((id) => id[0] === "l").map((id) => shown.net.layers[Number(id.slice(1))].host));
    for (const id of ids) if (id[0] === "b" && shown.net.blocks[Number(id.slice(1))].parent >= 0) hosts.add(shown.net.blocks[Number(id.slice(1))].layers[0]);
    return shown.net.blocks.filter(({ layers }, number) => hosts.has(layers[0]) && !picture.byId.has(`b${number}`)).length;
  }

  receive({ job, progress, nodes, edges }) {
    if (job !== this.job || !this.waiting) return;
    if (!nodes) {
      this.progress(progress);
      return;
    }
    const { picture, then } = this.waiting;
    this.waiting = null;
    for (const [id, [x, y]] of nodes) Object.assign(picture.byId.get(id), { x, y });
    picture.edges.forEach((edge, number) => { edge.points = edges[number]; });
    this.progress(null);
    then(picture);
  }
}
