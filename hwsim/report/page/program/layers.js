/* Heat maps by layer: a row a point, a column a layer. They are tables, so that they can be read without colours. */

const LAYER_ROWS = { front: "the fronts", selected: "the selected points", table: "the first of the table" };
const MOST_ROWS = 40;
const LOSSES = { sqnr_db: "SQNR with the errors before it", sqnr_alone_db: "SQNR of the layer alone" };
const COSTS = { energy_nj: "share of the energy", cycles: "share of the cycles" };

const shape = (point) => layerNames[point].map(([name]) => name).join("\n");
const hasLayers = everyPoint.some((point) => layerNames[point].length);

function drawLayers() {
  byId("layers").hidden = !hasLayers;
  if (!hasLayers) return;
  const wanted = { front: () => view.filtered.filter((point) => view.best.has(point)), selected: () => state.selected, table: () => sorted(view.shown) }[state.layersOf]();
  const withLayers = wanted.filter((point) => layerNames[point].length);
  const network = withLayers.length ? value("network", withLayers[0]) : "";
  const ofNetwork = withLayers.filter((point) => value("network", point) === network);
  const first = ofNetwork.length ? shape(ofNetwork[0]) : "";
  const points = ofNetwork.filter((point) => shape(point) === first).slice(0, MOST_ROWS);
  const left = wanted.length - points.length;
  const none = state.layersOf === "selected" && !wanted.length ? "Nothing is selected." : "No point here has figures by layer.";
  const some = `${plural(points.length, "point")} of ${LAYER_ROWS[state.layersOf]} on ${network}.`;
  const others = ` Not shown: ${plural(left, "other")}, past the first ${MOST_ROWS}, of another network, or without figures by layer.`;
  byId("layers-note").textContent = points.length ? some + (left > 0 ? others : "") : none;
  drawHeat("loss-map", points, state.loss, LOSSES[state.loss], lossCells);
  drawHeat("cost-map", points, state.cost, COSTS[state.cost], shareCells);
}

/** A decibel a cell: the fewer, the stronger the colour. */
function lossCells(points, key) {
  const rows = points.map((point) => layerFigures[key][point]);
  const known = rows.flat().filter((each) => typeof each === "number");
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const cell = (each) => ({ text: each.toFixed(1), strength: high > low ? (high - each) / (high - low) : 0 });
  return rows.map((row) => row.map((each) => (each === null ? null : cell(each))));
}

/** A share of the row's sum a cell: the more, the stronger the colour. */
function shareCells(points, key) {
  const rows = points.map((point) => {
    const figures = layerFigures[key][point];
    const sum = figures.reduce((a, b) => a + (b ?? 0), 0);
    return figures.map((each) => (each === null || !sum ? null : (100 * each) / sum));
  });
  const highest = Math.max(...rows.flat().filter((each) => each !== null), 0);
  const cell = (each) => ({ text: each.toFixed(each < 9.95 ? 1 : 0), strength: highest ? each / highest : 0 });
  return rows.map((row) => row.map((each) => (each === null ? null : cell(each))));
}

function drawHeat(id, points, key, title, cellsOf) {
  if (!points.length) {
    fill(byId(id));
    return;
  }
  const cells = cellsOf(points, key);
  if (cells.flat().every((each) => each === null)) {
    fill(byId(id), make("p", { class: "quiet" }, "Not known of these points: it is found where a comparison is made with errors by layer."));
    return;
  }
  const names = layerNames[points[0]];
  const long = names.some(([name]) => name.length > 7);
  const colour = shading(id === "loss-map" ? "--heat-loss" : "--heat-cost");
  const heads = names.map(([name, operator]) => make("th", { scope: "col", title: operator }, make("span", { class: long ? "upright" : "" }, name)));
  const lines = points.map((point, at) => make(
    "tr",
    {},
    make("th", { scope: "row" }, pointButton(point)),
    cells[at].map((cell) => (cell === null ? make("td", {}, "–") : make("td", { style: colour(cell.strength) }, cell.text))),
  ));
  fill(byId(id), make("table", { class: "heat" }, make("caption", { class: "unseen" }, `${title} by layer`),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, key.endsWith("_db") ? "dB" : "%"), heads)), make("tbody", {}, lines)));
}

/** A point's name, which selects it. */
function pointButton(point) {
  const made = button("", () => choose(point, false), { class: "plain-button" });
  made.append(make("b", {}, pointFormat(point)), make("small", {}, pointPlace(point)));
  return made;
}

/** Return a function from a strength in 0..1 to a ground and the ink that is read best on it. */
function shading(name) {
  const from = channels(styleOf("--heat-none"));
  const to = channels(styleOf(name));
  return (strength) => {
    const mixed = from.map((channel, at) => Math.round(channel + (to[at] - channel) * strength));
    const [r, g, b] = mixed.map((channel) => (channel / 255 <= 0.04045 ? channel / 255 / 12.92 : ((channel / 255 + 0.055) / 1.055) ** 2.4));
    const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    return { background: `rgb(${mixed.join(" ")})`, color: light > 0.179 ? "#000" : "#fff" };
  };
}

const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** The choices above the maps. */
function drawLayerChoices() {
  const options = (texts) => [["", Object.entries(texts).filter(([key]) => key in LAYER_ROWS || key in layerFigures)]];
  fill(
    byId("layer-choices"),
    chooser("layers-of", "Points", options(LAYER_ROWS), state.layersOf, (chosen) => change({ layersOf: chosen })),
  );
  fill(byId("loss-choice"), chooser("loss-of", "Figure", options(LOSSES), state.loss, (chosen) => change({ loss: chosen })));
  fill(byId("cost-choice"), chooser("cost-of", "Figure", options(COSTS), state.cost, (chosen) => change({ cost: chosen })));
}
