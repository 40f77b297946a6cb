/* What the reader has chosen; who draws what of it; and the link that says it. */

const firstOf = (keys, otherwise) => keys.find((key) => measurable.some((each) => each.key === key)) ?? otherwise;
const someAxis = measurable[0]?.key ?? "";

/** The first of some quantities that differs by half between points; else the first that there is. */
function telling(keys) {
  const there = keys.filter((key) => has(key));
  return there.find((key) => ratioOfExtremes(key) > 1.5) ?? firstOf(there, someAxis);
}

function ratioOfExtremes(key) {
  const numbers = column(key).values.filter((each) => typeof each === "number");
  const smallest = numbers.reduce((a, b) => Math.min(a, b), Infinity);
  return smallest > 0 ? numbers.reduce((a, b) => Math.max(a, b), 0) / smallest : 0;
}

/** Quantities that span more than a decade, which a logarithmic axis shows better. */
const WIDE = measurable.map((each) => each.key).filter((key) => ratioOfExtremes(key) > 10);

/** What the pictures set against what at first: the fronts that a terminal shows, of a network or, for "", of all. */
function axesOf(network) {
  const pairs = payload.fronts[network].filter((pair) => pair.every((key) => measurable.some((each) => each.key === key)));
  const [[y, x], [y2, x2]] = [...pairs, ...OTHER_AXES.map((costs) => [quality, telling(costs)])];
  return { y, x, y2, x2 };
}

const QUALITY = ["accuracy", "output_sqnr_db", "agreement", "weight_qsnr_db"];
const quality = firstOf(QUALITY.filter((key) => has(key) && distinct(key).length > 1), firstOf(QUALITY, someAxis));
const OTHER_AXES = [
  ["array_area_mm2", "area_mm2", "unit_area_um2", "lut"],
  ["energy_nj", "energy_units_nj", "energy_pj_per_mac", "latency_us"],
];

const firstNetwork = networks[0] ?? "";

const DEFAULT_COLUMNS = [
  "accuracy", ...varying.filter((key) => key !== "family" && key !== "format"),
  "output_sqnr_db", "bits_per_element", "unit_area_um2", "array_area_mm2", "area_mm2", "energy_nj", "latency_us",
  "inferences_per_s_per_mm2", "inferences_per_j",
].filter((key) => has(key) && !(key === "unit" && decides("format", "unit")));

const defaults = () => ({
  text: "",
  facets: {}, // key -> set of texts
  ranges: {}, // key -> [smallest, largest], either null
  show: "all", // "front" or "selected"
  ...axesOf(firstNetwork),
  log: new Set(WIDE),
  colour: "family",
  symbol: varying.includes("accelerator") ? "accelerator" : varying.includes("technology") ? "technology" : "",
  sort: `-${axesOf(firstNetwork).y}`,
  columns: DEFAULT_COLUMNS,
  selected: [],
  loss: "sqnr_db",
  cost: "energy_nj",
  layersOf: "front",
  network: firstNetwork, // or "" for all
  theme: "",
});

const state = defaults();
const watchers = [];

/** Have `draw` called whenever one of these parts of the state changes. */
function watch(parts, draw) {
  watchers.push({ parts: new Set(parts), draw });
}

/** Change parts of the state, draw what shows them, and say it in the link. */
function change(parts) {
  Object.assign(state, parts);
  const changed = Object.keys(parts);
  if (measurable.length) view.update();
  for (const { parts: watched, draw } of watchers) if (changed.some((part) => watched.has(part))) draw();
  writeLink();
}

/** Show another network, or all for ""; pictures that have the axes of the one before get its own. */
function showNetwork(network) {
  const before = axesOf(state.network);
  const same = Object.entries(before).every(([part, key]) => state[part] === key);
  zoomed.clear();
  change({ network, ...(same ? { ...axesOf(network), sort: state.sort === `-${before.y}` ? `-${axesOf(network).y}` : state.sort } : {}) });
}

const FILTERING = ["text", "facets", "ranges", "network"];

/** The points that the filters leave, those of the fronts, those to be shown. */
const view = {
  filtered: [],
  fronts: [], // of the first picture, one for each network in each technology
  fronts2: [],
  front: [], // all of them
  front2: [],
  best: new Set(), // all that are on any
  shown: [],
  update() {
    this.filtered = everyPoint.filter(passes(state));
    this.fronts = frontsOf(this.filtered, state.x, state.y);
    this.fronts2 = frontsOf(this.filtered, state.x2, state.y2);
    [this.front, this.front2] = [this.fronts.flat(), this.fronts2.flat()];
    this.best = new Set([...this.front, ...this.front2]);
    this.shown = this.filtered;
    if (state.show === "front") {
      this.shown = this.filtered.filter((point) => this.best.has(point));
    } else if (state.show === "selected") {
      this.shown = [...state.selected];
    }
  },
};

/** Return a test of points by the filters of a state. */
function passes({ text, facets, ranges, network }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = Object.entries(facets).filter(([key, set]) => has(key) && set.size);
  const bounds = Object.entries(ranges).filter(([key]) => has(key));
  return (point) => {
    if (network && value("network", point) !== network) return false;
    for (const [key, set] of chosen) if (!set.has(String(value(key, point)))) return false;
    for (const [key, [smallest, largest]] of bounds) {
      const is = value(key, point);
      if (typeof is !== "number" || (smallest !== null && is < smallest) || (largest !== null && is > largest)) return false;
    }
    if (!words.length) return true;
    const name = `${value("family", point)} ${value("unit", point)} ${pointName(point)}`.toLowerCase();
    return words.every((word) => name.includes(word));
  };
}

function select(points) {
  change({ selected: points });
  announce(points.length ? `${plural(points.length, "point")} selected: ${points.slice(0, 2).map(pointName).join(", ")}` : "Nothing selected");
}

/** A click on a point: it alone, or with a key held, it too. */
function choose(point, together) {
  const { selected } = state;
  if (together) select(selected.includes(point) ? selected.filter((each) => each !== point) : [...selected, point]);
  else select(selected.length === 1 && selected[0] === point ? [] : [point]);
}

const sortKey = () => state.sort.replace(/^-/, "");
const sortsDown = () => state.sort.startsWith("-");

const FRONT_ORDER = ["", "2", "1", "1 2"];

/** Return a function from a point to the numbers of the pictures whose front it is on: "1", "2", "1 2" or nothing. */
function frontNumbers() {
  const [on, on2] = [new Set(view.front), new Set(view.front2)];
  return (point) => [on.has(point) && "1", on2.has(point) && "2"].filter(Boolean).join(" ");
}

/** Points in the order of the table; what is not known comes last. */
function sorted(points) {
  const key = sortKey();
  const sign = sortsDown() ? -1 : 1;
  const numbers = frontNumbers();
  const of = key === "front" ? (point) => FRONT_ORDER.indexOf(numbers(point)) : (point) => value(key, point);
  const known = points.filter((point) => of(point) !== null);
  known.sort((first, second) => {
    const [a, b] = [of(first), of(second)];
    const order = typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;
    return sign * order || first - second;
  });
  return [...known, ...points.filter((point) => of(point) === null)];
}
