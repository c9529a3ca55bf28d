// The plot: Plotly draws axes and legend, and this the points. Ten thousand of them take Plotly half a second.
const RADIUS = 3.5, NEAR = 10; // pixels
const SIGNS = ["boost", "suppress"];
let scene = null; // what is drawn: columns, the neurons with a point, and where their points are

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function layout() {
  const axis = (condition) => ({
    title: { text: condition + ": mean |ΔL| (nats)" }, type: "log", range: data.range.slice(), exponentformat: "power", dtick: 1,
    gridcolor: colour("--line"), zeroline: false,
  });
  const [low, high] = data.range.map((value) => 10 ** value);
  return {
    autosize: true, margin: { l: 64, r: 12, t: 34, b: 56 }, hovermode: false, dragmode: "zoom", uirevision: "kept",
    modebar: { bgcolor: "transparent", color: colour("--quiet"), activecolor: colour("--ink") },
    paper_bgcolor: colour("--paper"), plot_bgcolor: "transparent", font: { color: colour("--ink"), size: 13 },
    xaxis: axis(common), yaxis: axis(rare), legend: { orientation: "h", y: -0.18, yanchor: "top" },
    shapes: [{ type: "line", x0: low, y0: low, x1: high, y1: high, layer: "below",
      line: { color: colour("--quiet"), dash: "dash", width: 1 } }],
  };
}

// A trace without points represents each group in the legend.
const legend = () => data.groups.map(({ name, colour }) => ({
  type: "scatter", mode: "markers", name, x: [null], y: [null], showlegend: true, marker: { color: colour, size: 9, symbol: "circle" },
}));

const isHidden = (group) => byId("plot").data[group].visible === "legendonly";

// Pixels from the plot's left and top edges, of log10 values along an axis.
function along({ range: [low, high], _offset: offset, _length: length }, upwards) {
  return (value) => { const share = (value - low) / (high - low); return offset + length * (upwards ? 1 - share : share); };
}

function stamp(fill, sign) {
  const made = document.createElement("canvas"), scale = devicePixelRatio || 1, size = 2 * RADIUS + 3;
  made.width = made.height = Math.ceil(size * scale);
  const pen = made.getContext("2d");
  pen.scale(scale, scale);
  pen.translate(size / 2, size / 2);
  pen.globalAlpha = 0.75;
  pen.beginPath();
  if (sign === "boost") {
    pen.arc(0, 0, RADIUS, 0, 2 * Math.PI);
    pen.fillStyle = fill;
    pen.fill();
  } else {
    pen.moveTo(-RADIUS, -0.6 * RADIUS);
    pen.lineTo(RADIUS, -0.6 * RADIUS);
    pen.lineTo(0, RADIUS);
    pen.closePath();
    pen.strokeStyle = fill;
    pen.lineWidth = 1.2;
    pen.stroke();
  }
  return { image: made, size };
}

function placed(columns) {
  const { xaxis, yaxis } = byId("plot")._fullLayout, right = along(xaxis, false), down = along(yaxis, true);
  const group = columns.groups.map((name) => data.groups.findIndex((each) => each.name === name));
  const there = [...columns.neuron.keys()].filter((i) => drawn(columns, i) && !isHidden(group[columns.group[i]]));
  return {
    columns, there,
    kind: there.map((i) => 2 * group[columns.group[i]] + (boosts(columns, rare, i) ? 0 : 1)),
    x: there.map((i) => right(Math.log10(influence(columns, common)[i]))),
    y: there.map((i) => down(Math.log10(influence(columns, rare)[i]))),
  };
}

function ring(pen, i, width) {
  const at = scene.there.indexOf(i);
  if (at < 0) return;
  pen.beginPath();
  pen.arc(scene.x[at], scene.y[at], 9, 0, 2 * Math.PI);
  pen.strokeStyle = colour("--ink");
  pen.lineWidth = width;
  pen.stroke();
}

// Points of a checkpoint, those of the groups that are listed first on top; rings around the chosen neuron and the one pointed at.
function drawPoints(columns, pointedAt = -1) {
  const canvas = byId("points"), plot = byId("plot"), scale = devicePixelRatio || 1;
  scene = placed(columns);
  [canvas.width, canvas.height] = [plot.clientWidth * scale, plot.clientHeight * scale];
  const pen = canvas.getContext("2d"), { xaxis, yaxis } = plot._fullLayout;
  pen.scale(scale, scale);
  pen.beginPath();
  pen.rect(xaxis._offset, yaxis._offset, xaxis._length, yaxis._length);
  pen.clip();
  for (let kind = 2 * data.groups.length - 1; kind >= 0; kind--) {
    const { image, size } = stamp(data.groups[kind >> 1].colour, SIGNS[kind % 2]);
    scene.kind.forEach((mine, p) => { if (mine === kind) pen.drawImage(image, scene.x[p] - size / 2, scene.y[p] - size / 2, size, size); });
  }
  if (kept !== null) ring(pen, columns.neuron.indexOf(kept), 2.5);
  ring(pen, pointedAt, 1.5);
}

// The neuron whose point is nearest to the mouse, -1 where none is near.
function nearest(event) {
  const box = byId("plot").getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
  let found = -1, least = NEAR ** 2;
  scene.there.forEach((i, p) => {
    const distance = (scene.x[p] - x) ** 2 + (scene.y[p] - y) ** 2;
    if (distance < least) [found, least] = [i, distance];
  });
  return found;
}

async function downloadPicture(plot) {
  const { l, t, w, h } = plot._fullLayout._size, { clientWidth: width, clientHeight: height } = plot;
  const points = { source: byId("points").toDataURL(), xref: "paper", yref: "paper", x: -l / w, y: 1 + t / h,
    sizex: width / w, sizey: height / h, sizing: "stretch", layer: "above" };
  await Plotly.relayout(plot, { images: [points] });
  await Plotly.downloadImage(plot, { format: "png", filename: document.title, width, height, scale: 2 });
  await Plotly.relayout(plot, { images: [] });
}

async function drawAxes() {
  const plot = byId("plot");
  const picture = { name: "toImage", title: "Download plot as a PNG", icon: Plotly.Icons.camera, click: downloadPicture };
  const settings = { responsive: true, displaylogo: false, displayModeBar: true,
    modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d", picture]] };
  await Plotly.newPlot(plot, legend(), layout(), settings);
  let pointedAt = -1;
  const point = (i) => {
    if (i === pointedAt || !scene) return;
    pointedAt = i;
    if (i < 0) showKept(scene.columns);
    else show(scene.columns, i);
    drawPoints(scene.columns, i);
  };
  plot.on("plotly_afterplot", () => { if (scene) drawPoints(scene.columns); });
  plot.addEventListener("mousemove", (event) => { if (scene) point(nearest(event)); });
  plot.addEventListener("mouseleave", () => point(-1));
  plot.addEventListener("click", (event) => {
    const i = scene ? nearest(event) : -1;
    if (i >= 0) keep(scene.columns.neuron[i]);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => Plotly.react(plot, legend(), layout(), settings));
}
