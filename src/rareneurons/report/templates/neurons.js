"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const [rare, common] = data.conditions;
const byId = (id) => document.getElementById(id);
const arrays = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array };
const MOST_KEPT = 12; // checkpoints in memory
const ROWS = 25; // of the table
const waiting = new Map(); // name of a script -> what to do with its content
const loaded = new Map(); // name of a script -> promise of its content
const afterKeeping = []; // functions that are called with the neuron that was chosen
let kept = null; // index of the neuron that was clicked or searched for

const unpack = ({ type, data: text }) => new arrays[type](Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const unpacked = (packed) => Object.fromEntries(Object.entries(packed).map(([name, array]) => [name, unpack(array)]));
const neurons = unpacked(data.neurons);
const tokens = new Map();
unpack(data.tokens.id).forEach((id, place) => tokens.set(id, data.tokens.text[place]));

// The scripts beside the page call this.
function arrived(name, content) {
  waiting.get(name)(content);
}

// Content of a script beside the page. A page from the disk may load scripts, but may not read other files.
function content(name) {
  if (loaded.has(name)) return loaded.get(name);
  const promise = new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = data.folder + "/" + name + ".js";
    waiting.set(name, (found) => { waiting.delete(name); script.remove(); resolve(found); });
    script.onerror = () => {
      loaded.delete(name);
      byId("said").textContent = "The file " + data.folder + "/" + name + ".js cannot be read. Keep it beside this page.";
      reject(new Error(script.src));
    };
    document.head.append(script);
  });
  loaded.set(name, promise);
  return promise;
}

const checkpoints = new Map();
async function checkpoint(name) {
  if (!checkpoints.has(name)) {
    const found = await content(name);
    loaded.delete(name);
    checkpoints.set(name, { ...found, ...neurons, ...unpacked(found.arrays), name });
    if (checkpoints.size > MOST_KEPT) checkpoints.delete(checkpoints.keys().next().value);
  }
  return checkpoints.get(name);
}

const chosenName = () => data.checkpoints[Number(byId("checkpoint").value)];
const number = (value) => (Number.isNaN(value) ? "not measured" : Number(value.toPrecision(3)).toString().replace("-", "−"));
const influence = (columns, condition) => columns[condition + ".mean_abs_delta_loss"];
const drawn = (columns, i) => influence(columns, rare)[i] > 0 && influence(columns, common)[i] > 0;
const boosts = (columns, condition, i) => columns[condition + ".mean_delta_loss"][i] > 0;
const groupsOf = (columns, i) => columns.combinations[columns.combination[i]];

function element(tag, text, parent) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text; // never markup, because tokens may contain any
  if (parent) parent.append(made);
  return made;
}

function row(table, head, cells) {
  const made = element("tr", undefined, table);
  if (head !== undefined) element("th", head, made).scope = "row";
  cells.forEach((text) => element("td", text, made));
  return made;
}

function header(table, names) {
  const made = element("tr", undefined, element("thead", undefined, table));
  names.forEach((text) => { element("th", text, made).scope = "col"; });
}

const nameOf = (columns, i) => [columns.layer[i], ...(columns.expert ? [columns.expert[i]] : []), columns.neuron[i]].join(", ");

function show(columns, i) {
  const card = byId("card");
  card.replaceChildren();
  if (i === null || i < 0) {
    element("p", "Hover over a neuron, or type its index above.", card);
    return;
  }
  element("h2", "Neuron (" + nameOf(columns, i) + ")", card);
  element("p", (columns.expert ? "layer, expert, neuron" : "layer, neuron") + " at " + columns.name, card).className = "quiet";
  const table = element("table", undefined, card);
  header(table, ["", "mean ΔL", "mean |ΔL|", "sign"]);
  for (const condition of data.conditions) {
    const of = (column) => number(columns[condition + "." + column][i]);
    row(table, condition, [of("mean_delta_loss") + " ± " + of("se_delta_loss"), of("mean_abs_delta_loss") + " ± " + of("se_abs_delta_loss"),
      boosts(columns, condition, i) ? "boost" : "suppress"]);
  }
  element("p", "nats ± standard error", card).className = "quiet";
  element("h3", "Groups", card);
  element("p", groupsOf(columns, i).join(", ") || "none", card);
  for (const [side, title] of [["promoted", "Promotes"], ["suppressed", "Suppresses"]]) {
    element("h3", title, card);
    const list = element("ol", undefined, card);
    list.className = "tokens";
    const shown = columns[side].length / columns.neuron.length;
    for (const token of columns[side].subarray(i * shown, (i + 1) * shown)) {
      element("code", tokens.get(token), element("li", undefined, list));
    }
  }
  element("h3", "Type", card);
  element("p", "null-space share " + number(columns.null_space_share[i]) + ", frequency share " +
    number(columns.frequency_share[i]), card);
}

function say(columns) {
  const hidden = columns.neuron.reduce((n, _, i) => n + !drawn(columns, i), 0);
  const rows = data.conditions.map((name) => columns.rows[name][0] + " " + name + " rows of " + columns.rows[name][1] + " documents");
  byId("said").textContent = columns.neuron.length + " neurons; " + rows.join(", ") +
    (hidden ? "; not drawn, because they are without any effect: " + hidden : "");
}

// The table of the neurons, sorted by one column, some rows at a time.
const sorting = { column: rare + ".mean_abs_delta_loss", sign: -1, first: 0 };
const sortable = [["neuron", "neuron"],
  ...data.conditions.flatMap((name) => [[name + ": mean ΔL (nats)", name + ".mean_delta_loss"], [name + ": mean |ΔL| (nats)", name + ".mean_abs_delta_loss"]])];

function list(columns) {
  if (!byId("all").open) return;
  const group = byId("of-group").value;
  const order = [...columns.neuron.keys()].filter((i) => !group || groupsOf(columns, i).includes(group));
  const values = columns[sorting.column];
  order.sort((a, b) => sorting.sign * (values[a] - values[b]));
  sorting.first = Math.min(sorting.first, Math.max(0, order.length - 1));
  const shown = order.slice(sorting.first, sorting.first + ROWS);
  const [head, body] = byId("table").children;
  head.querySelectorAll("th").forEach((cell) => {
    if (cell.dataset.column === sorting.column) cell.ariaSort = sorting.sign > 0 ? "ascending" : "descending";
    else cell.removeAttribute("aria-sort");
  });
  body.replaceChildren();
  for (const i of shown) {
    const numbers = sortable.slice(1).map(([, column]) => number(columns[column][i]));
    const made = row(body, "", [...numbers, groupsOf(columns, i).join(", ") || "none"]);
    const button = element("button", String(columns.neuron[i]), made.firstChild);
    button.type = "button";
    button.setAttribute("aria-label", "Show neuron " + columns.neuron[i]);
    button.addEventListener("click", () => keep(columns.neuron[i]));
  }
  byId("shown").textContent = "Rows " + (shown.length ? sorting.first + 1 : 0) + " to " + (sorting.first + shown.length) + " of " + order.length +
    " at " + columns.name;
  byId("before").disabled = sorting.first === 0;
  byId("after").disabled = sorting.first + ROWS >= order.length;
}

function prepareTable() {
  const again = async (change) => { change(); list(await checkpoint(chosenName())); };
  const head = element("tr", undefined, byId("table").tHead);
  for (const [title, column] of sortable) {
    const cell = element("th", undefined, head);
    cell.scope = "col";
    cell.dataset.column = column;
    element("button", title, cell).addEventListener("click", () => again(() => {
      sorting.sign = column === sorting.column ? -sorting.sign : column === "neuron" ? 1 : -1;
      sorting.column = column;
      sorting.first = 0;
    }));
  }
  element("th", "groups", head).scope = "col";
  byId("before").addEventListener("click", () => again(() => { sorting.first = Math.max(0, sorting.first - ROWS); }));
  byId("after").addEventListener("click", () => again(() => { sorting.first += ROWS; }));
  byId("of-group").addEventListener("change", () => again(() => { sorting.first = 0; }));
  byId("all").addEventListener("toggle", () => again(() => {
    byId("of-group").replaceChildren(byId("of-group").firstElementChild);
    const names = checkpoints.get(chosenName()).combinations.flat();
    [...new Set(names)].forEach((name) => element("option", name, byId("of-group")));
  }));
}

async function draw() {
  const name = chosenName();
  byId("checkpoint-name").textContent = name;
  byId("checkpoint").setAttribute("aria-valuetext", name);
  const columns = await checkpoint(name);
  if (name !== chosenName()) return; // the slider has moved on
  say(columns);
  showKept(columns);
  list(columns);
  drawPoints(columns);
}

const showKept = (columns) => show(columns, kept === null ? null : columns.neuron.indexOf(kept));

async function keep(neuron) {
  kept = neuron;
  byId("neuron").value = neuron;
  afterKeeping.forEach((act) => act(neuron));
  await draw();
}

async function start() {
  byId("checkpoint").max = data.checkpoints.length - 1;
  byId("checkpoint").value = data.checkpoints.length - 1;
  byId("neuron").max = neurons.neuron.at(-1);
  byId("checkpoint").addEventListener("input", draw);
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    keep(Number(byId("neuron").value)); // the input's own rules accept no other index
  });
  if (byId("model")) byId("model").addEventListener("change", (event) => { location.href = event.target.value; });
  prepareTable();
  await drawAxes();
  await draw();
}
