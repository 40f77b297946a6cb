/* The state in the address: what differs from the page as it opens, so that a link shows a reader the same. */

/** Names in a link of parts of the state that are texts. */
const SIMPLE = {
  q: "text", show: "show", x: "x", y: "y", x2: "x2", y2: "y2", colour: "colour", symbol: "symbol", sort: "sort",
  loss: "loss", cost: "cost", layers: "layersOf", network: "network", theme: "theme",
};

function linkText() {
  const initial = defaults();
  const link = new URLSearchParams();
  for (const [name, part] of Object.entries(SIMPLE)) if (state[part] !== initial[part]) link.set(name, state[part]);
  for (const [key, set] of Object.entries(state.facets)) for (const each of set) link.append(`f.${key}`, each);
  for (const [key, [smallest, largest]] of Object.entries(state.ranges)) link.set(`r.${key}`, `${smallest ?? ""}..${largest ?? ""}`);
  const flipped = measurable.map((each) => each.key).filter((key) => state.log.has(key) !== initial.log.has(key));
  if (flipped.length) link.set("log", flipped.join(","));
  if (state.columns.join() !== initial.columns.join()) link.set("columns", state.columns.join(","));
  if (state.selected.length) link.set("points", state.selected.map((point) => payload.ids[point]).join(","));
  return link.toString();
}

let written = "";

function writeLink() {
  written = linkText();
  try {
    history.replaceState(null, "", location.href.replace(/#.*$/, "") + (written && `#${written}`));
  } catch {
    // a page shown inside another has no address of its own
  }
}

/** Return the state that the address asks for, and say what of it this page does not have. */
function readLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  const found = defaults();
  const missing = [];
  const list = (name) => (link.get(name) ?? "").split(",").filter(Boolean);
  const axis = (key) => measurable.some((each) => each.key === key);
  const allowed = {
    text: () => true,
    show: (text) => ["all", "front", "selected"].includes(text),
    x: axis, y: axis, x2: axis, y2: axis,
    colour: has,
    symbol: (text) => text === "" || has(text),
    sort: (text) => has(text.replace(/^-/, "")) || /^-?front$/.test(text),
    loss: (text) => text in layerFigures,
    cost: (text) => text in layerFigures,
    layersOf: (text) => text in LAYER_ROWS,
    network: (text) => text === "" || networks.includes(text),
    theme: (text) => ["", "light", "dark"].includes(text),
  };
  for (const [name, part] of Object.entries(SIMPLE)) {
    const text = link.get(name);
    if (text === null) continue;
    if (allowed[part](text)) found[part] = text;
    else missing.push(`${name}=${text}`);
  }
  for (const [name, text] of link) {
    const key = name.slice(2);
    if (name.startsWith("f.") && has(key)) (found.facets[key] ??= new Set()).add(text);
    else if (name.startsWith("r.") && has(key) && column(key).numeric && BOUNDS.test(text)) found.ranges[key] = bounds(text);
    else if (/^[fr]\./.test(name)) missing.push(`${name}=${text}`);
  }
  for (const key of list("log")) if (!found.log.delete(key)) found.log.add(key);
  const wanted = list("columns");
  if (wanted.length) found.columns = wanted.filter((key) => has(key) && key !== "format");
  for (const id of list("points")) {
    if (placeOfId.has(id)) found.selected.push(placeOfId.get(id));
    else missing.push(`point ${id}`);
  }
  return { found, missing };
}

const NUMBER = "(?:-?[0-9.]*[0-9](?:e[+-]?[0-9]+)?)?";
const BOUNDS = new RegExp(`^${NUMBER}[.]{2}${NUMBER}$`);

/** The bounds of a range as a link has them, "from..to", either empty. */
const bounds = (text) => text.split("..").map((part) => (part === "" ? null : Number(part)));

function showMissing(missing) {
  byId("missing").hidden = !missing.length;
  byId("missing").textContent = missing.length ? `The link names what this report does not have: ${missing.join(", ")}.` : "";
}

/** Take the state from the address, when it is opened and when it is changed by hand. */
function followLink() {
  const { found, missing } = readLink();
  change(found);
  showMissing(missing);
}

addEventListener("hashchange", () => {
  if (location.hash.slice(1) !== written) followLink();
});
