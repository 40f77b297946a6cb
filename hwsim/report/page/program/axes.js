/* The axes of a picture: what they show, from where to where, and from a point to pixels. */

const MARGIN = { l: 62, r: 14, t: 34, b: 52 };
const ROOM = 0.07; // of an axis, beyond its first and last point

const settledStyles = new Map(); // by theme and name, for asking has the browser style the page anew

/** A colour of the theme. */
function styleOf(name) {
  const key = theme() + name;
  if (!settledStyles.has(key)) settledStyles.set(key, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return settledStyles.get(key);
}

/** Text as Plotly shows it letter by letter. */
const safe = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** The frame of a picture: its two axes, {key, log, range}, and where a point is in it. */
function frameOf(element, keys, points, zoom) {
  const axes = Object.fromEntries(["x", "y"].map((at) => [at, axisOf(keys[at], points, zoom?.[at])]));
  const width = element.clientWidth - MARGIN.l - MARGIN.r;
  const height = element.clientHeight - MARGIN.t - MARGIN.b;
  const part = ({ key, log, range }, point) => {
    const place = log ? Math.log10(value(key, point)) : value(key, point);
    return (place - range[0]) / (range[1] - range[0]);
  };
  return {
    ...axes,
    width,
    height,
    left: (point) => MARGIN.l + width * part(axes.x, point),
    top: (point) => MARGIN.t + height * (1 - part(axes.y, point)),
  };
}

/** An axis that holds some points; its range in exponents of 10 where it is logarithmic. */
function axisOf(key, points, zoom) {
  const numbers = points.map((point) => value(key, point));
  const log = state.log.has(key) && numbers.every((number) => number > 0);
  const places = log ? numbers.map(Math.log10) : numbers;
  if (!places.length) return { key, log: false, range: [0, 1] };
  const low = places.reduce((a, b) => Math.min(a, b));
  const high = places.reduce((a, b) => Math.max(a, b));
  const room = (high - low || Math.abs(high) * 0.1 || 1) * ROOM;
  return { key, log, range: zoom ?? [low - room, high + room] };
}

/** The number at an end of an axis. */
function endOf({ log, range }, high) {
  const place = range[high ? 1 : 0];
  return log ? 10 ** place : place;
}

/** An axis as Plotly takes it. */
function axisLayout({ key, log, range }) {
  const better = { 1: "more is better", "-1": "less is better", 0: "" }[direction(key)];
  return {
    type: log ? "log" : "linear",
    range: [...range],
    autorange: false,
    title: { text: safe(labelWithUnit(key)) + (better && `  <span style="font-size:11px">(${better})</span>`), standoff: 8 },
    color: styleOf("--quiet"),
    gridcolor: styleOf("--grid"),
    linecolor: styleOf("--line"),
    tickcolor: styleOf("--line"),
    zeroline: false,
    ticks: "outside",
    ticklen: 4,
    nticks: 7,
    exponentformat: "none",
    separatethousands: true,
    ...(log ? decadeTicks(range) : {}),
  };
}

/** Ticks of a logarithmic axis at 1, 2 and 5 of every decade, or at 1 alone where there are many decades. */
function decadeTicks([low, high]) {
  const steps = high - low > 3 ? [1] : [1, 2, 5];
  const found = [];
  for (let decade = Math.floor(low); decade <= high; decade += 1) for (const step of steps) found.push(step * 10 ** decade);
  const inside = found.filter((each) => Math.log10(each) >= low && Math.log10(each) <= high);
  return inside.length > 1 ? { tickvals: inside, ticktext: inside.map((each) => significant(each, 3)) } : {};
}
