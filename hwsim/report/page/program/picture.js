/* The two linked scatter plots. */

const PICTURES = [
  { id: "picture-1", x: "x", y: "y", front: () => view.front, fronts: () => view.fronts },
  { id: "picture-2", x: "x2", y: "y2", front: () => view.front2, fronts: () => view.fronts2 },
];
const MANY = 150; // points, from which on they are drawn smaller and fainter
const zoomed = new Map(); // by the picture's id: {x: range, y: range}

const drawn = new Map(); // by the picture's id: {frame, points}

/** Those of some points that have both figures of a picture. */
const placeable = ({ x, y }, points) => points.filter((point) => isNumber(state[x], point) && isNumber(state[y], point));

/** Draw both pictures. */
function drawPictures() {
  for (const picture of PICTURES) drawPicture(picture);
}

function drawPicture(picture) {
  const element = byId(picture.id);
  const keys = { x: state[picture.x], y: state[picture.y] };
  const points = placeable(picture, view.shown);
  const scope = placeable(picture, [...view.filtered, ...points]);
  const frame = frameOf(element, keys, scope, zoomed.get(picture.id));
  const front = picture.front();
  const on = new Set(front);
  const many = points.length > MANY;
  const shown = points.filter((point) => on.has(point));
  const traces = [
    marks(points.filter((point) => !on.has(point)), keys, many ? 6.5 : 9, many ? 0.5 : 0.75),
    frontLines(picture.fronts(), frame),
    floatLine(scope, frame),
    marks(shown, keys, many ? 9 : 11, 1),
    errorBars(points, keys),
    labels(points, shown, frame),
    rings(points, keys),
  ];
  Plotly.react(element, traces, layoutOf(frame, element.clientWidth, points.length), CONFIGURATION);
  drawn.set(picture.id, { frame, points: new Set(points) });
  element.setAttribute("aria-label", pictureText(keys, points, front));
  for (const drawing of element.querySelectorAll("svg.main-svg")) drawing.setAttribute("aria-hidden", "true");
  byId(`${picture.id}-note`).textContent = absentText(keys, points.length);
}

/** Points as marks in their colours and symbols; hollow where the cost is fitted. */
function marks(points, keys, size, opacity) {
  const colours = points.map(colouring(state.colour));
  const symbol = symbols(state.symbol);
  const ground = styleOf("--surface");
  const line = points.some(isFitted)
    ? {
      width: points.map((point) => (isFitted(point) ? 1.5 : 0.5)),
      color: points.map((point, at) => (isFitted(point) ? colours[at] : ground)),
    }
    : { width: 0.5, color: ground };
  return {
    ...scattered(points, keys),
    customdata: points,
    hoverinfo: "none",
    marker: {
      size,
      opacity,
      color: colours,
      symbol: points.map((point) => symbol(point) + (isFitted(point) ? "-open" : "")),
      line,
    },
  };
}

/** What all marks at points have in common. */
const scattered = (points, { x, y }) => ({
  type: "scatter",
  mode: "markers",
  x: points.map((point) => value(x, point)),
  y: points.map((point) => value(y, point)),
  hoverinfo: "skip",
});

/** The fronts as steps, one trace with gaps, and beside each its network and technology where there are several. */
function frontLines(fronts, { x, y }) {
  const lessX = direction(x.key) < 0;
  const steps = fronts.flatMap((front) => [...frontSteps(front, x, y, fronts.length > 1 ? groupName(front[0]) : ""), { x: null, y: null, text: "" }]);
  return {
    type: "scatter",
    mode: "lines+text",
    x: steps.map((step) => step.x),
    y: steps.map((step) => step.y),
    text: steps.map((step) => step.text),
    textposition: lessX ? "bottom left" : "bottom right",
    textfont: { size: 11, color: styleOf("--quiet") },
    hoverinfo: "skip",
    line: { shape: lessX ? "hv" : "vh", color: styleOf("--front"), width: 1.75 },
  };
}

/** The corners of a front: what is reached at least, out to the picture's edges. */
function frontSteps(front, x, y, group) {
  const corners = front.map((point) => ({ x: value(x.key, point), y: value(y.key, point), text: "" }));
  const worst = { x: endOf(x, direction(x.key) < 0), y: endOf(y, direction(y.key) < 0) };
  const [first, last] = [corners[0], corners.at(-1)];
  const name = safe(group);
  return direction(x.key) < 0
    ? [{ x: first.x, y: worst.y, text: "" }, ...corners, { x: worst.x, y: last.y, text: name }]
    : [{ x: worst.x, y: first.y, text: name }, ...corners, { x: last.x, y: worst.y, text: "" }];
}

/** The accuracy of the float32 network, where that is what the axis shows and all points have the same. */
function floatLine(points, { x, y }) {
  const known = y.key === "accuracy" && has("float_accuracy") ? new Set(points.map((point) => value("float_accuracy", point))) : new Set();
  const at = known.size === 1 ? [...known][0] : null;
  return {
    type: "scatter",
    mode: "lines+text",
    x: at === null ? [] : [endOf(x, false), endOf(x, true)],
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
    ...scattered(barred, keys),
    marker: { size: 0.1, color: styleOf("--ink") },
    error_y: { array: barred.map((point) => statisticalError(keys.y, point)), color: styleOf("--ink"), thickness: 1, width: 4 },
  };
}

/** Rings around what is selected. */
function rings(points, keys) {
  const there = new Set(points);
  return {
    ...scattered(state.selected.filter((point) => there.has(point)), keys),
    marker: { size: 17, symbol: "circle-open", color: styleOf("--ink"), line: { width: 2 } },
  };
}

const NOTHING = { text: "No point has both figures and passes the filters.", x: 0.5, y: 0.5 };

function layoutOf(frame, width, count) {
  const font = { family: getComputedStyle(document.body).fontFamily, size: width < 480 ? 11 : 12, color: styleOf("--quiet") };
  return {
    width,
    margin: { ...MARGIN },
    showlegend: false,
    hovermode: "closest",
    hoverdistance: 14,
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "select",
    selections: [],
    selectionrevision: Math.random(), // a box is forgotten once its points are selected
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font,
    modebar: { bgcolor: "rgba(0,0,0,0)", color: styleOf("--quiet"), activecolor: styleOf("--accent") },
    newselection: { line: { color: styleOf("--accent"), width: 1, dash: "dot" } },
    xaxis: axisLayout(frame.x),
    yaxis: axisLayout(frame.y),
    annotations: [{ showarrow: false, xref: "paper", yref: "paper", ...(count ? cornerText(frame) : NOTHING) }],
  };
}

/** Which corner is best, in that corner. */
function cornerText({ x, y }) {
  const [right, up] = [direction(x.key), direction(y.key)];
  const arrow = { "1,1": "↗", "-1,1": "↖", "1,-1": "↘", "-1,-1": "↙" }[`${right},${up}`];
  return {
    text: arrow ? `better ${arrow}` : "",
    x: right > 0 ? 1 : 0,
    y: up > 0 ? 1 : 0,
    xanchor: right > 0 ? "right" : "left",
    yanchor: up > 0 ? "top" : "bottom",
    xshift: right > 0 ? -6 : 6,
    font: { size: 11, color: styleOf("--quiet") },
  };
}

/** What a picture shows, for those who do not see it. */
function pictureText({ x, y }, points, front) {
  const names = front.slice(0, 12).map(pointName).join("; ");
  const more = front.length > 12 ? `; and ${front.length - 12} more` : "";
  const said = front.length ? `On the front: ${names}${more}.` : "There is no front.";
  return `${plural(points.length, "point")}: ${label(y)} against ${label(x)}. ${said} The table below has all figures.`;
}

/** How many points a figure is not known of. */
function absentText({ x, y }, there) {
  const absent = view.shown.length - there;
  if (!absent) return "";
  const unknown = [y, x].filter((key) => view.shown.some((point) => !isNumber(key, point))).map(label);
  return `${plural(absent, "point")} not drawn: ${both([...new Set(unknown)])} not known.`;
}
