/* The comparison in columns: a value a point, by the key of a field, a setting or a quantity. */

const payload = JSON.parse(byId("data").textContent);
const decoded = (column) => (Array.isArray(column) ? column : column.at.map((at) => column.of[at]));

const count = payload.ids.length;
const everyPoint = Array.from({ length: count }, (_, point) => point);
const placeOfId = new Map(payload.ids.map((id, point) => [id, point]));
const layerNames = decoded(payload.layers.names);
const layerFigures = Object.fromEntries(
  Object.entries(payload.layers.figures).map(([key, column]) => [key, decoded(column)]),
);
const stages = decoded(payload.stages);
const ranksOf = decoded(payload.ranks);
const sourcesOf = decoded(payload.sources.at);

const FIELD_LABELS = {
  family: "family",
  format: "format",
  unit: "unit",
  accelerator: "accelerator",
  technology: "technology",
  network: "network",
};

/** Columns by key: {key, label, unit, group, values, numeric, quantity}. */
const columns = new Map();

function addField(key, label, values, group) {
  const numeric = values.every((value) => value === null || typeof value === "number") && values.some((value) => value !== null);
  columns.set(key, { key, label, unit: "", group, values, numeric, quantity: null, description: "" });
}

for (const [key, label] of Object.entries(FIELD_LABELS)) {
  addField(key, label, decoded(payload.fields[key]), "Design");
}
for (const [key, column] of Object.entries(payload.settings)) {
  addField(`set:${key}`, key, decoded(column), "Settings");
}
for (const quantity of payload.quantities) {
  const { key, label, unit, group, kind, description } = quantity;
  const values = decoded(payload.figures[key]);
  columns.set(key, { key, label, unit, group, values, numeric: kind === "float" || kind === "int", quantity, description });
}

const column = (key) => columns.get(key);
const value = (key, point) => columns.get(key).values[point];
const has = (key) => columns.has(key);
const distinct = (key) => [...new Set(column(key).values)];

/** Fields and settings in which points differ. */
const varying = [...columns.values()].filter((each) => !each.quantity && distinct(each.key).length > 1).map((each) => each.key);
/** Quantities with numbers that differ: what an axis may show. */
const measurable = [...columns.values()].filter((each) => each.quantity && each.numeric);

/** Whether one field says what another is: the format the unit, mostly. */
function decides(key, other) {
  const found = new Map();
  for (const point of everyPoint) {
    const is = value(key, point);
    const that = value(other, point);
    if (found.has(is) && found.get(is) !== that) return false;
    found.set(is, that);
  }
  return true;
}

/** What tells points of one format apart. */
const placing = varying.filter((key) => !["family", "format"].includes(key) && !(key === "unit" && decides("format", "unit")));

const pointFormat = (point) => value("format", point);

/** The last part of a setting's key where no other ends so. */
function shortSetting(key) {
  const last = key.split(".").at(-1);
  const alike = Object.keys(payload.settings).filter((other) => other.split(".").at(-1) === last);
  return alike.length === 1 ? last.replaceAll("_", " ") : key;
}

const ROWS = "set:array.rows";
const COLUMNS = "set:array.columns";
const shapeVaries = placing.includes(ROWS) && placing.includes(COLUMNS);

const networks = distinct("network");
const groupNumbers = new Map();

/** Of each point, the number of its network and technology: areas, energies and accuracies compare within them. */
const groupOf = everyPoint.map((point) => {
  const name = [value("network", point), value("technology", point)].join("\n");
  if (!groupNumbers.has(name)) groupNumbers.set(name, groupNumbers.size);
  return groupNumbers.get(name);
});

/** Points by network and technology, those that differ in neither in one list. */
function byGroup(points) {
  const found = new Map();
  for (const point of points) {
    if (!found.has(groupOf[point])) found.set(groupOf[point], []);
    found.get(groupOf[point]).push(point);
  }
  return [...found.values()];
}

/** What tells the network and technology of a point from those of others; empty where all have the same. */
function groupName(point) {
  return [!state.network && networks.length > 1 && value("network", point), varying.includes("technology") && value("technology", point)]
    .filter(Boolean).join(" · ");
}

/** What a point has of a field or setting, in words; empty where the accelerator's own holds. */
function settingText(key, point) {
  const is = value(key, point);
  if (is === null) return "";
  if (shapeVaries && key === ROWS && value(COLUMNS, point) !== null) return `${is}×${value(COLUMNS, point)}`;
  if (shapeVaries && key === COLUMNS && value(ROWS, point) !== null) return "";
  return key.startsWith("set:") ? `${shortSetting(key.slice("set:".length))} ${is}` : String(is);
}

/** Where a point stands, beside its format: what tells it from others of that format. */
const pointPlace = (point) => placing.map((key) => settingText(key, point)).filter(Boolean).join(" · ");
const pointName = (point) => [pointFormat(point), pointPlace(point)].filter(Boolean).join(" · ");

/** Which way of a quantity is better: 1 more, -1 less, 0 neither. */
function direction(key) {
  const better = column(key).quantity?.better;
  return better === "more" ? 1 : better === "less" ? -1 : 0;
}

const isFitted = (point) => has("cost_fitted") && value("cost_fitted", point) === true;

/** The largest relative error of a fitted cost, in per cent, or null. */
const fittedError = (point) => (has("cost_error") && isFitted(point) ? value("cost_error", point) : null);
