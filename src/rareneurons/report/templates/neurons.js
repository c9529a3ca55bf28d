"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const [rare, common] = data.conditions;
const byId = (id) => document.getElementById(id);
const arrays = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array };
const unpacked = new Map();
const settings = { responsive: true, displaylogo: false, displayModeBar: true,
  modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]] };
let kept = null; // index of the neuron that was clicked or searched for

function unpack(array) {
  const bytes = Uint8Array.from(atob(array.data), (character) => character.charCodeAt(0));
  return new arrays[array.type](bytes.buffer);
}

function checkpoint(place) {
  if (!unpacked.has(place)) {
    const { name, rows, numbers, whole } = data.checkpoints[place];
    const columns = { name, rows };
    for (const [key, array] of [...Object.entries(numbers), ...Object.entries(whole)]) columns[key] = unpack(array);
    unpacked.set(place, columns);
  }
  return unpacked.get(place);
}

const place = () => Number(byId("checkpoint").value);
const words = (name) => name.replaceAll("_", " ");
const number = (value) => (Number.isNaN(value) ? "not measured" : Number(value.toPrecision(3)).toString().replace("-", "−"));
const influence = (columns, condition) => columns[condition + ".mean_abs_delta_loss"];
const drawn = (columns, i) => influence(columns, rare)[i] > 0 && influence(columns, common)[i] > 0;

function traces(columns) {
  const found = data.groups.map(({ name, colour }) => ({
    type: "scatter", mode: "markers", name: words(name), x: [], y: [], customdata: [], text: [], hoverinfo: "text",
    legendgroup: name, showlegend: false,
    marker: { color: colour, size: 7, opacity: 0.75, symbol: [], line: { width: 1.2, color: colour } },
  }));
  for (let i = 0; i < columns.neuron.length; i++) {
    if (!drawn(columns, i)) continue;
    const trace = found[columns.group[i]];
    trace.x.push(influence(columns, common)[i]);
    trace.y.push(influence(columns, rare)[i]);
    trace.customdata.push(i);
    trace.text.push("neuron " + columns.neuron[i] + ", " + trace.name);
    trace.marker.symbol.push(columns[rare + ".mean_delta_loss"][i] > 0 ? "circle" : "triangle-down-open");
  }
  const ring = { type: "scatter", mode: "markers", x: [], y: [], hoverinfo: "skip", showlegend: false,
    marker: { symbol: "circle-open", size: 18, color: colour("--ink"), line: { width: 2.5 } } };
  const at = kept === null ? -1 : columns.neuron.indexOf(kept);
  if (at >= 0 && drawn(columns, at)) {
    ring.x.push(influence(columns, common)[at]);
    ring.y.push(influence(columns, rare)[at]);
  }
  // A legend shows the first marker of a trace, whose shape is one neuron's sign. Traces without points represent the groups instead.
  const legend = found.filter((trace) => trace.x.length).map(({ name, legendgroup, marker }) => ({
    type: "scatter", mode: "markers", name, legendgroup, x: [null], y: [null], hoverinfo: "skip",
    marker: { color: marker.color, size: 9, symbol: "circle" },
  }));
  return [...found, ring, ...legend];
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function layout() {
  const axis = (condition) => ({
    title: { text: condition + ": mean |ΔL| (nats)" }, type: "log", range: data.range, exponentformat: "power", dtick: 1,
    gridcolor: colour("--line"), zeroline: false,
  });
  const [low, high] = data.range.map((value) => 10 ** value);
  return {
    autosize: true, margin: { l: 64, r: 12, t: 34, b: 56 }, hovermode: "closest", dragmode: "zoom",
    modebar: { bgcolor: "transparent", color: colour("--quiet"), activecolor: colour("--ink") },
    paper_bgcolor: "transparent", plot_bgcolor: "transparent", font: { color: colour("--ink"), size: 13 },
    xaxis: axis(common), yaxis: axis(rare), legend: { orientation: "h", y: -0.18, yanchor: "top" },
    shapes: [{ type: "line", x0: low, y0: low, x1: high, y1: high, layer: "below",
      line: { color: colour("--quiet"), dash: "dash", width: 1 } }],
  };
}

function element(tag, text, parent) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text; // never markup, because tokens may contain any
  if (parent) parent.append(made);
  return made;
}

function show(i) {
  const columns = checkpoint(place());
  const card = byId("card");
  card.replaceChildren();
  if (i === null || i < 0) {
    element("p", "Hover over a neuron, or type its index above.", card);
    return;
  }
  const name = [columns.layer[i], ...(columns.expert ? [columns.expert[i]] : []), columns.neuron[i]];
  element("h2", "Neuron (" + name.join(", ") + ")", card);
  const memberships = data.combinations[columns.combination[i]].map(words);
  element("p", (columns.expert ? "layer, expert, neuron" : "layer, neuron") + " at " + columns.name, card).className = "quiet";
  const table = element("table", undefined, card);
  const head = element("tr", undefined, element("thead", undefined, table));
  ["", "mean ΔL", "mean |ΔL|", "sign"].forEach((text) => element("th", text, head));
  for (const condition of data.conditions) {
    const row = element("tr", undefined, table);
    const of = (column) => columns[condition + "." + column][i];
    element("th", condition, row);
    element("td", number(of("mean_delta_loss")) + " ± " + number(of("se_delta_loss")), row);
    element("td", number(of("mean_abs_delta_loss")) + " ± " + number(of("se_abs_delta_loss")), row);
    element("td", of("mean_delta_loss") > 0 ? "boost" : "suppress", row);
  }
  element("p", "nats ± standard error", card).className = "quiet";
  element("h3", "Groups", card);
  element("p", memberships.join(", ") || "none", card);
  for (const [side, title] of [["promoted", "Promotes"], ["suppressed", "Suppresses"]]) {
    element("h3", title, card);
    const list = element("ol", undefined, card);
    list.className = "tokens";
    const shown = columns[side].length / columns.neuron.length;
    for (const token of columns[side].subarray(i * shown, (i + 1) * shown)) {
      element("code", data.tokens[token], element("li", undefined, list));
    }
  }
  element("h3", "Type", card);
  element("p", "null-space share " + number(columns.null_space_share[i]) + ", frequency share " +
    number(columns.frequency_share[i]), card);
}

function said(columns) {
  const hidden = columns.neuron.reduce((n, _, i) => n + !drawn(columns, i), 0);
  const rows = data.conditions.map((name) => columns.rows[name][0] + " " + name + " rows of " + columns.rows[name][1] + " documents");
  byId("said").textContent = columns.neuron.length + " neurons; " + rows.join(", ") +
    (hidden ? "; not drawn, because they are without any effect: " + hidden : "");
}

function draw() {
  const columns = checkpoint(place());
  byId("checkpoint-name").textContent = columns.name;
  byId("checkpoint").setAttribute("aria-valuetext", columns.name);
  said(columns);
  show(kept === null ? null : columns.neuron.indexOf(kept));
  return Plotly.react(byId("plot"), traces(columns), layout(), settings);
}

function keep(neuron) {
  kept = neuron;
  byId("neuron").value = neuron;
  return draw();
}

byId("checkpoint").max = data.checkpoints.length - 1;
byId("checkpoint").value = data.checkpoints.length - 1;
byId("neuron").max = Math.max(...checkpoint(place()).neuron);
byId("checkpoint").addEventListener("input", draw);
byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  keep(Number(byId("neuron").value)); // the input's own rules accept no other index
});
if (byId("model")) byId("model").addEventListener("change", (event) => { location.href = event.target.value; });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
draw().then((plot) => {
  plot.on("plotly_hover", (event) => show(event.points[0].customdata));
  plot.on("plotly_unhover", () => show(kept === null ? null : checkpoint(place()).neuron.indexOf(kept)));
  plot.on("plotly_click", (event) => keep(checkpoint(place()).neuron[event.points[0].customdata]));
});
