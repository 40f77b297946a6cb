/* Names beside the points of a picture, where there is room. */

const MOST_LABELS = 14;

/** Names beside points, of the front first, as many as do not meet each other or a point of the front. */
function labels(points, front, frame) {
  const order = [...state.selected.filter((point) => points.includes(point)), ...front, ...(points.length <= 30 ? points : [])];
  const marked = points.length <= 60 ? points : front;
  const boxes = [...corners(frame), ...marked.map((point) => [frame.left(point) - 4, frame.top(point) - 4, 8, 8])];
  const placed = new Map();
  for (const point of new Set(order)) {
    if (placed.size >= MOST_LABELS) break;
    const width = textWidth(pointFormat(point));
    const [left, top] = [frame.left(point), frame.top(point)];
    for (const [position, x, y] of placesAround(left, top, width)) {
      const box = [x, y, width, 14];
      const inside = x > MARGIN.l && x + width < MARGIN.l + frame.width && y > MARGIN.t && y + 14 < MARGIN.t + frame.height;
      if (inside && !boxes.some((other) => overlap(box, other))) {
        boxes.push(box);
        placed.set(point, position);
        break;
      }
    }
  }
  const named = [...placed.keys()];
  return {
    ...scattered(named, { x: frame.x.key, y: frame.y.key }),
    mode: "markers+text", // the marks keep the text at a distance
    marker: { size: 9, opacity: 0 },
    text: named.map((point) => safe(pointFormat(point))),
    textposition: [...placed.values()],
    textfont: { size: 11, color: styleOf("--ink") },
  };
}

/** The places of the words that a picture has in its corners. */
function corners({ x, y, width, height }) {
  const left = direction(x.key) > 0 ? MARGIN.l + width - 70 : MARGIN.l;
  const top = direction(y.key) > 0 ? MARGIN.t : MARGIN.t + height - 20;
  return [[left, top, 70, 20]];
}

/** Where a label may stand, and its corner there. */
const placesAround = (left, top, width) => [
  ["top left", left - width - 6, top - 20],
  ["bottom right", left + 6, top + 6],
  ["top right", left + 6, top - 20],
  ["bottom left", left - width - 6, top + 6],
];

const overlap = ([x, y, width, height], [left, top, wide, high]) => x < left + wide && left < x + width && y < top + high && top < y + height;

let measuring = null;

function textWidth(text) {
  measuring ??= document.createElement("canvas").getContext("2d");
  measuring.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  return measuring.measureText(text).width + 2;
}
