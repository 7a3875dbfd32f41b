"use strict";
// Runs in a worker, after dagre: places the nodes of a drawing. A net comes in pieces that are connected by one node only, the
// anchor; each is laid out on its own and hung below its anchor, so that time grows with the number of pieces, and equal
// pieces are laid out once.
/* global dagre */

const SPACE = { rank: 42, node: 26 };
const LOOK_BACK = 2000; // pixels above the last anchor in which the ends of branches are kept
const EXACT = 250; // nodes of a piece up to which the best ranks are searched, which takes longer

function placed(piece) {
  const graph = new dagre.graphlib.Graph({ multigraph: false });
  graph.setGraph({ rankdir: "TB", nodesep: SPACE.node, ranksep: SPACE.rank, ranker: piece.sizes.length > EXACT ? "tight-tree" : "network-simplex" });
  graph.setDefaultEdgeLabel(() => ({}));
  piece.sizes.forEach(([width, height], node) => graph.setNode(String(node), { width, height }));
  piece.edges.forEach(([source, target]) => graph.setEdge(String(source), String(target)));
  dagre.layout(graph);
  return {
    nodes: piece.sizes.map((_, node) => { const { x, y } = graph.node(String(node)); return [x, y]; }),
    edges: piece.edges.map(([source, target]) => graph.edge(String(source), String(target)).points.slice(2, -2).map(({ x, y }) => [x, y])),
  };
}

onmessage = ({ data: { job, pieces } }) => {
  const known = new Map();
  const nodes = new Map();
  const edges = [];
  let bottom = 0, ends = [], told = performance.now();
  pieces.forEach((piece, number) => {
    const key = JSON.stringify([piece.sizes, piece.edges]);
    if (!known.has(key)) known.set(key, placed(piece));
    const found = known.get(key);
    const anchor = piece.anchored ? nodes.get(piece.ids[0]) : null;
    const first = anchor ? 1 : 0;
    let top = Infinity, left = Infinity, right = -Infinity;
    for (let place = first; place < piece.ids.length; place++) {
      const [x, y] = found.nodes[place], [width, height] = piece.sizes[place];
      top = Math.min(top, y - height / 2);
      left = Math.min(left, x - width / 2);
      right = Math.max(right, x + width / 2);
    }
    const dx = anchor ? anchor[0] - found.nodes[0][0] : 0;
    // Below its anchor, and below all that is in its way: the ends of branches beside it.
    let above = anchor ? anchor[1] + piece.sizes[0][1] / 2 : number ? bottom : -SPACE.rank;
    for (const [x, end, width] of ends)
      if (anchor && x + width / 2 + SPACE.node > left + dx && x - width / 2 - SPACE.node < right + dx) above = Math.max(above, end);
    const dy = above + SPACE.rank + piece.room - top;
    for (let place = first; place < piece.ids.length; place++) {
      const [x, y] = found.nodes[place], [width, height] = piece.sizes[place];
      nodes.set(piece.ids[place], [x + dx, y + dy]);
      bottom = Math.max(bottom, y + dy + height / 2);
      ends.push([x + dx, y + dy + height / 2, width]);
    }
    const held = nodes.get(piece.ids[piece.ids.length - 1])[1];
    ends = ends.filter(([, end]) => end > held - LOOK_BACK); // what is far above is in nobody's way
    found.edges.forEach((points) => edges.push(points.map(([x, y]) => [x + dx, y + dy])));
    if (performance.now() - told > 80) {
      told = performance.now();
      postMessage({ job, progress: (number + 1) / pieces.length });
    }
  });
  postMessage({ job, nodes: [...nodes], edges });
};
