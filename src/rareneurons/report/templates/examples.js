// Examples of a neuron: texts whose tokens are shaded, and the tokens that it helps.
let examples = null; // what the script with the examples brought
const HELPS = 0.9, LEAST = 0.04; // opacity of the largest number, and the smallest that is drawn

async function described() {
  if (!examples) {
    const found = await content("examples");
    examples = { ...found, of: unpacked(found.examples), helped: unpacked(found.tokens) };
    examples.start = [];
    examples.of.length.reduce((sum, n, e) => { examples.start[e] = sum; return sum + n; }, 0);
  }
  return examples;
}

const mineOf = (column, neuron) => [...column.keys()].filter((e) => column[e] === neuron);
const shadedBy = () => document.querySelector("input[name=shade]:checked").value;

// Tokens of an example with their activation and the change of their own loss, which belongs to the token before.
function tokensOf({ of, start, text }, e) {
  const at = (name, place) => of["window_" + name][start[e] + place];
  return Array.from({ length: of.length[e] }, (_, place) => ({
    text: text[at("text", place)], row: place === of.window_row[e], activation: at("activation", place),
    delta_loss: place ? at("delta_loss", place - 1) : NaN,
  }));
}

function explained(token) {
  return "activation " + number(token.activation) + "; change of this token's loss " + number(token.delta_loss) + (token.row ? "; the row's own token" : "");
}

function shade(mark, value, scale) {
  const share = Math.min(1, Math.abs(value) / scale) * HELPS;
  if (!(share >= LEAST)) return; // too small, or not measured
  mark.classList.add(value > 0 ? "helps" : "hurts");
  mark.style.setProperty("--shade", share.toFixed(2));
}

function showText(item, found, e, by, scale) {
  const { of } = found, all = tokensOf(found, e);
  element("p", "document " + of.document[e] + ", position " + of.position[e] + ": activation " + number(of.activation[e]) + "; the loss of the target “" +
    all[of.window_row[e] + 1].text + "” is " + number(of.loss[e]) + " nats and changes by " + number(of.delta_loss[e]) + " when the neuron is ablated",
    item).className = "quiet";
  const line = element("p", undefined, item);
  line.className = "text";
  for (const token of all) {
    const mark = element("span", token.text, line);
    mark.title = explained(token);
    if (token.row) mark.classList.add("row");
    shade(mark, token[by], scale);
  }
  const numbers = element("details", undefined, item);
  element("summary", "Numbers of its tokens", numbers);
  numbers.addEventListener("toggle", () => {
    if (!numbers.open || numbers.children.length > 1) return;
    const box = element("div", undefined, numbers);
    box.className = "scroll";
    const table = element("table", undefined, box);
    header(table, ["token", "activation", "change of this token's loss (nats)"]);
    all.forEach((token) => row(table, token.text + (token.row ? " (the row's own)" : ""), [number(token.activation), number(token.delta_loss)]));
  });
}

async function showExamples(neuron) {
  if (neuron === null) return;
  const found = await described();
  if (neuron !== kept) return;
  const mine = mineOf(found.of.neuron, neuron), kind = found.kinds.indexOf(byId("kind").value), by = shadedBy();
  const shown = mine.filter((e) => found.of.kind[e] === kind);
  byId("examples-shown").hidden = !mine.length;
  byId("examples-title").textContent = "Examples of neuron " + neuron + " at " + found.checkpoint;
  byId("examples-said").textContent = mine.length ? shown.length + " texts of neuron " + neuron + ", the most extreme first."
    : "There are no examples of neuron " + neuron + ". Choose one of the neurons with examples above.";
  const scale = Math.max(...mine.map((e) => Math.abs(found.of[by][e])));
  byId("scale").textContent = "Full colour: " + number(scale) + (by === "delta_loss" ? " nats" : "") + " or more.";
  byId("texts").replaceChildren();
  for (const e of shown) {
    const item = element("li", undefined, byId("texts"));
    item.className = "example";
    showText(item, found, e, by, scale);
  }
  showHelped(found, neuron);
}

function showHelped({ helped, text }, neuron) {
  const table = byId("helped");
  table.replaceChildren();
  header(table, ["token", "mean ΔL (nats)", "rows", "documents"]);
  const mine = mineOf(helped.neuron, neuron);
  for (const t of mine) {
    row(table, text[helped.text[t]], [number(helped.mean_delta_loss[t]) + " ± " + number(helped.se_delta_loss[t]), helped.n_rows[t], helped.n_documents[t]]);
  }
  if (!mine.length) row(table, "none", ["", "", ""]);
}

for (const [group, members] of Object.entries(data.described)) {
  const part = element("optgroup", undefined, byId("described"));
  part.label = group;
  members.forEach((neuron) => { element("option", "neuron " + neuron, part).value = neuron; });
}
byId("described").addEventListener("change", (event) => { if (event.target.value) keep(Number(event.target.value)); });
byId("kind").addEventListener("change", () => showExamples(kept));
document.querySelectorAll("input[name=shade]").forEach((choice) => choice.addEventListener("change", () => showExamples(kept)));
afterKeeping.push(showExamples);
