// Times layout libraries on graphs.json in the working directory: see view.py --layouts.
const dagre = require("@dagrejs/dagre"), ELK = require("elkjs"), { instance } = require("@viz-js/viz");
const graphs = JSON.parse(require("fs").readFileSync("graphs.json"));
const [width, height] = [150, 50];
const spent = () => { const { user, system } = process.cpuUsage(); return Math.round((user + system) / 1000); }; // ms of processor time
(async () => {
  const viz = await instance(), elk = new ELK();
  for (const [name, { nodes, edges }] of Object.entries(graphs)) {
    const tell = (library, start, size) => console.log(`${name}: ${nodes} nodes; ${library} ${spent() - start} ms, ${size.map(Math.round).join(" x ")} pixels`);
    for (const ranker of ["network-simplex", "tight-tree"]) {
      const start = spent();
      const graph = new dagre.graphlib.Graph().setGraph({ ranker });
      graph.setDefaultEdgeLabel(() => ({}));
      for (let node = 0; node < nodes; node++) graph.setNode(String(node), { width, height });
      edges.forEach(([from, to]) => graph.setEdge(String(from), String(to)));
      dagre.layout(graph);
      tell(`dagre (${ranker})`, start, [graph.graph().width, graph.graph().height]);
    }
    let start = spent();
    const placed = await elk.layout({ id: "root", layoutOptions: { "elk.algorithm": "layered", "elk.direction": "DOWN" },
      children: [...Array(nodes).keys()].map((node) => ({ id: String(node), width, height })),
      edges: edges.map(([from, to], number) => ({ id: `e${number}`, sources: [String(from)], targets: [String(to)] })) });
    tell("elkjs (layered)", start, [placed.width, placed.height]);
    start = spent();
    const lines = viz.renderString(`digraph { node [shape=box, width=2, height=0.7]; ${edges.map(([from, to]) => `${from} -> ${to}`).join(";")} }`, { format: "plain" });
    tell("viz.js (dot)", start, lines.split("\n")[0].split(" ").slice(2, 4).map((inches) => inches * 72));
  }
})();
