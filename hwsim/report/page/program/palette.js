/* Colours and symbols of points. The colours are told apart with any kind of colour blindness, and by a symbol where a
   choice of symbol is made; those of light and dark both reach a contrast of 3 with their ground. */

const COLOURS = {
  light: ["#0b65c2", "#c2410c", "#0f7b5f", "#a3388f", "#8a6a00", "#2b8ab8", "#5b4bb5", "#9c2b3a"],
  dark: ["#6cb2ff", "#ff9a5c", "#45cfa4", "#ee91d8", "#e3c04e", "#8fd9f7", "#b3a6ff", "#ff8f9c"],
};
const OTHERS = { light: "#6b7280", dark: "#9aa3ad" };
const SCALE = { light: ["#2a3a73", "#4f6d8f", "#7f9a7a", "#b08d2e", "#c2410c"], dark: ["#7c96f5", "#79bfd8", "#93d6a0", "#e3c04e", "#ff9a5c"] };
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x", "star"];
const SYMBOL_PATHS = {
  circle: "M5 0A5 5 0 1 1-5 0A5 5 0 1 1 5 0Z",
  square: "M-4.4-4.4H4.4V4.4H-4.4Z",
  diamond: "M0-6.2L6.2 0L0 6.2L-6.2 0Z",
  "triangle-up": "M0-5.8L5.6 4H-5.6Z",
  "triangle-down": "M0 5.8L5.6-4H-5.6Z",
  cross: "M-1.8-5.4H1.8V-1.8H5.4V1.8H1.8V5.4H-1.8V1.8H-5.4V-1.8H-1.8Z",
  x: "M0-2.4L3.2-5.6L5.6-3.2L2.4 0L5.6 3.2L3.2 5.6L0 2.4L-3.2 5.6L-5.6 3.2L-2.4 0L-5.6-3.2L-3.2-5.6Z",
  star: "M0-6.4L1.6-2L6.1-2L2.5 0.8L3.8 5.2L0 2.6L-3.8 5.2L-2.5 0.8L-6.1-2L-1.6-2Z",
};

const theme = () => document.documentElement.dataset.theme;

/** The values of a category, the most frequent first; by name where they are as many. */
function categories(key) {
  const counts = new Map();
  for (const each of column(key).values) counts.set(each, (counts.get(each) ?? 0) + 1);
  const order = [...counts.entries()].sort((a, b) => b[1] - a[1] || String(a[0]).localeCompare(String(b[0]), "en", { numeric: true }));
  return order.map(([each]) => each);
}

const isScale = (key) => column(key).numeric && column(key).quantity !== null && distinct(key).length > COLOURS.light.length;

/** Return a function from a point to its colour. */
function colouring(key) {
  if (isScale(key)) {
    const shades = SCALE[theme()];
    const { low, span, place } = extent(key);
    return (point) => {
      const is = value(key, point);
      return typeof is !== "number" || (state.log.has(key) && is <= 0) ? OTHERS[theme()] : shades[Math.min(4, Math.floor(((place(is) - low) / span) * 5))];
    };
  }
  const of = new Map(categories(key).map((each, at) => [each, COLOURS[theme()][at] ?? OTHERS[theme()]]));
  return (point) => of.get(value(key, point));
}

/** The range of a quantity, on a logarithmic axis where it has one. */
function extent(key) {
  const place = state.log.has(key) ? Math.log : (number) => number;
  const numbers = column(key).values.filter((each) => typeof each === "number").map(place).filter(Number.isFinite);
  const low = numbers.reduce((a, b) => Math.min(a, b), Infinity);
  return { low, span: numbers.reduce((a, b) => Math.max(a, b), -Infinity) - low || 1, place };
}

/** Return a function from a point to the name of its symbol. */
function symbols(key) {
  if (!key) return () => SYMBOLS[0];
  const of = new Map(categories(key).map((each, at) => [each, SYMBOLS[Math.min(at, SYMBOLS.length - 1)]]));
  return (point) => of.get(value(key, point));
}

/** A symbol as a small drawing. */
function symbolDrawing(name, colour, open = false) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "-8 -8 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "symbol");
  path.setAttribute("d", SYMBOL_PATHS[name]);
  path.setAttribute("fill", open ? "none" : colour);
  path.setAttribute("stroke", colour);
  path.setAttribute("stroke-width", open ? "1.6" : "0");
  svg.append(path);
  return svg;
}
