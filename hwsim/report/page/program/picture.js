/* The two linked scatter plots. */

const PICTURES = [
  { id: "picture-1", x: "x", y: "y", front: () => view.front },
  { id: "picture-2", x: "x2", y: "y2", front: () => view.front2 },
];
const MARGIN = { l: 62, r: 14, t: 34, b: 52 };
const MOST_LABELS = 14;
const zoomed = new Map(); // by the picture's id: {x: range, y: range}

const styleOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const shownIn = ({ x, y }) => view.shown.filter((point) => isNumber(state[x], point) && isNumber(state[y], point));
const isLog = (key, points) => state.log.has(key) && points.every((point) => value(key, point) > 0);

/** Ticks of a logarithmic axis at 1, 2 and 5 of every decade, or at 1 alone where there are many decades. */
function decadeTicks([low, high]) {
  const steps = high - low > 3 ? [1] : [1, 2, 5];
  const found = [];
  for (let decade = Math.floor(low); decade <= high; decade += 1) for (const step of steps) found.push(step * 10 ** decade);
  const inside = found.filter((each) => Math.log10(each) >= low && Math.log10(each) <= high);
  return inside.length > 1 ? { tickvals: inside, ticktext: inside.map((each) => significant(each, 3)) } : {};
}

/** The range of an axis that leaves room around points, in the axis' own units (exponents of 10 where logarithmic). */
function rangeOf(key, points, log) {
  const numbers = points.map((point) => (log ? Math.log10(value(key, point)) : value(key, point)));
  if (!numbers.length) return [0, 1];
  const low = numbers.reduce((a, b) => Math.min(a, b));
  const high = numbers.reduce((a, b) => Math.max(a, b));
  const room = (high - low || Math.abs(high) * 0.1 || 1) * 0.07;
  return [low - room, high + room];
}

function axis(key, points, range) {
  const log = isLog(key, points);
  const better = { 1: "more is better", "-1": "less is better", 0: "" }[direction(key)];
  return {
    type: log ? "log" : "linear",
    range,
    autorange: false,
    title: { text: safe(labelWithUnit(key)) + (better ? `  <span style="font-size:11px">(${better})</span>` : ""), standoff: 8 },
    color: styleOf("--quiet"),
    gridcolor: styleOf("--grid"),
    linecolor: styleOf("--line"),
    zeroline: false,
    ticks: "outside",
    ticklen: 4,
    tickcolor: styleOf("--line"),
    exponentformat: "none",
    separatethousands: true,
    nticks: log ? undefined : 7,
    ...(log ? decadeTicks(range) : {}),
  };
}

/** Text as Plotly shows it letter by letter. */
const safe = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

/** Draw both pictures. */
function drawPictures() {
  for (const picture of PICTURES) drawPicture(picture);
}

function drawPicture(picture) {
  const element = byId(picture.id);
  const keys = { x: state[picture.x], y: state[picture.y] };
  const points = shownIn(picture);
  const scope = view.filtered.filter((point) => isNumber(keys.x, point) && isNumber(keys.y, point));
  const zoom = zoomed.get(picture.id);
  const ranges = Object.fromEntries(
    ["x", "y"].map((at) => [at, zoom?.[at] ?? rangeOf(keys[at], scope, isLog(keys[at], points))]),
  );
  const frame = frameOf(element, keys, points, ranges);
  const front = new Set(picture.front());
  const traces = [
    marks(points.filter((point) => !front.has(point)), keys, points.length > 150 ? 6.5 : 9, points.length > 150 ? 0.5 : 0.75),
    frontLine(picture.front(), keys, frame),
    marks(points.filter((point) => front.has(point)), keys, points.length > 150 ? 9 : 11, 1),
    floatLine(scope, keys, frame),
    errorBars(points, keys),
    labels(points, picture.front(), keys, frame),
    rings(points, keys),
  ];
  Plotly.react(element, traces, layoutOf(picture, keys, points, ranges), CONFIGURATION);
  element.frame = frame;
  element.setAttribute("aria-label", pictureText(picture, keys, points));
}

/** From a point to pixels of the picture. */
function frameOf(element, keys, points, ranges) {
  const width = element.clientWidth - MARGIN.l - MARGIN.r;
  const height = element.clientHeight - MARGIN.t - MARGIN.b;
  const scaled = (at, number) => {
    const log = isLog(keys[at], points);
    return ((log ? Math.log10(number) : number) - ranges[at][0]) / (ranges[at][1] - ranges[at][0]);
  };
  return {
    ranges, width, height,
    left: (point) => MARGIN.l + width * scaled("x", value(keys.x, point)),
    top: (point) => MARGIN.t + height * (1 - scaled("y", value(keys.y, point))),
    end: (at, high) => { // the number at an end of an axis
      const place = ranges[at][high ? 1 : 0];
      return isLog(keys[at], points) ? 10 ** place : place;
    },
  };
}

function marks(points, keys, size, opacity) {
  const colour = colouring(state.colour);
  const symbol = symbols(state.symbol);
  const colours = points.map(colour);
  return {
    type: "scatter",
    mode: "markers",
    x: points.map((point) => value(keys.x, point)),
    y: points.map((point) => value(keys.y, point)),
    customdata: points,
    hoverinfo: "none",
    marker: {
      size,
      opacity,
      color: colours,
      symbol: points.map((point) => symbol(point) + (isFitted(point) ? "-open" : "")),
      line: { width: points.map((point) => (isFitted(point) ? 1.5 : 0.5)), color: points.map((point, at) => (isFitted(point) ? colours[at] : styleOf("--surface"))) },
    },
  };
}

/** The front as steps: what is reached at least, out to the picture's edges. */
function frontLine(front, keys, frame) {
  const xs = front.map((point) => value(keys.x, point));
  const ys = front.map((point) => value(keys.y, point));
  if (front.length) {
    const lessX = direction(keys.x) < 0;
    const worstY = frame.end("y", direction(keys.y) < 0);
    const worstX = frame.end("x", lessX);
    if (lessX) {
      xs.unshift(xs[0]); ys.unshift(worstY);
      xs.push(worstX); ys.push(ys.at(-1));
    } else {
      xs.unshift(worstX); ys.unshift(ys[0]);
      xs.push(xs.at(-1)); ys.push(worstY);
    }
  }
  return {
    type: "scatter",
    mode: "lines",
    x: xs,
    y: ys,
    hoverinfo: "skip",
    line: { shape: direction(keys.x) < 0 ? "hv" : "vh", color: styleOf("--front"), width: 1.75 },
  };
}

/** The accuracy of the float32 network, where that is what the axis shows and all points have the same. */
function floatLine(points, keys, frame) {
  const known = keys.y === "accuracy" && has("float_accuracy") ? new Set(points.map((point) => value("float_accuracy", point))) : new Set();
  const at = known.size === 1 ? [...known][0] : null;
  return {
    type: "scatter",
    mode: "lines+text",
    x: at === null ? [] : [frame.end("x", false), frame.end("x", true)],
    y: at === null ? [] : [at, at],
    text: ["", "float32"],
    textposition: "top left",
    textfont: { size: 11, color: styleOf("--quiet") },
    hoverinfo: "skip",
    line: { color: styleOf("--quiet"), width: 1, dash: "dot" },
  };
}

/** The statistical error of the selected points, where the vertical axis has one. */
function errorBars(points, keys) {
  const barred = state.selected.filter((point) => points.includes(point) && statisticalError(keys.y, point) !== null).slice(0, MOST_BESIDE);
  return {
    type: "scatter",
    mode: "markers",
    x: barred.map((point) => value(keys.x, point)),
    y: barred.map((point) => value(keys.y, point)),
    hoverinfo: "skip",
    marker: { size: 0.1, color: styleOf("--ink") },
    error_y: { array: barred.map((point) => statisticalError(keys.y, point)), color: styleOf("--ink"), thickness: 1, width: 4 },
  };
}

/** Rings around what is selected; the first few with their letters. */
function rings(points, keys) {
  const ringed = state.selected.filter((point) => points.includes(point));
  return {
    type: "scatter",
    mode: "markers",
    x: ringed.map((point) => value(keys.x, point)),
    y: ringed.map((point) => value(keys.y, point)),
    hoverinfo: "skip",
    marker: { size: 17, symbol: "circle-open", color: styleOf("--ink"), line: { width: 2 } },
  };
}

function layoutOf(picture, keys, points, ranges) {
  const [x, y] = [direction(keys.x), direction(keys.y)];
  const arrow = { "1,1": "↗", "-1,1": "↖", "1,-1": "↘", "-1,-1": "↙" }[`${x},${y}`];
  const small = byId(picture.id).clientWidth < 480;
  return {
    margin: { ...MARGIN },
    showlegend: false,
    hovermode: "closest",
    hoverdistance: 14,
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "select",
    selections: [],
    selectionrevision: Math.random(),
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: small ? 11 : 12, color: styleOf("--quiet") },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: styleOf("--quiet"), activecolor: styleOf("--accent") },
    newselection: { line: { color: styleOf("--accent"), width: 1, dash: "dot" } },
    xaxis: axis(keys.x, points, ranges.x),
    yaxis: axis(keys.y, points, ranges.y),
    annotations: arrow && points.length
      ? [{ text: `better ${arrow}`, showarrow: false, xref: "paper", yref: "paper", x: x > 0 ? 1 : 0, y: y > 0 ? 1 : 0, xanchor: x > 0 ? "right" : "left", yanchor: y > 0 ? "top" : "bottom", xshift: x > 0 ? -6 : 6, font: { size: 11, color: styleOf("--quiet") } }]
      : points.length ? [] : [{ text: "No point has both figures and passes the filters.", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }],
  };
}

function pictureText(picture, keys, points) {
  const front = picture.front();
  const names = front.slice(0, 12).map(pointName).join("; ");
  const more = front.length > 12 ? `; and ${front.length - 12} more` : "";
  return `${plural(points.length, "point")}: ${label(keys.y)} against ${label(keys.x)}. ${front.length ? `On the front: ${names}${more}.` : "There is no front."} The table below has all figures.`;
}
