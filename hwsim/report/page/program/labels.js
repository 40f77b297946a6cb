/* Names beside the points of a picture, where there is room. */

/** Names beside points, of the front first, as many as do not meet each other or a point of the front. */
function labels(points, front, keys, frame) {
  const order = [...state.selected.filter((point) => points.includes(point)), ...front, ...(points.length <= 30 ? points : [])];
  const boxes = front.map((point) => [frame.left(point) - 5, frame.top(point) - 5, 10, 10]);
  const placed = new Map();
  for (const point of new Set(order)) {
    if (placed.size >= MOST_LABELS) break;
    const width = textWidth(pointFormat(point));
    const [left, top] = [frame.left(point), frame.top(point)];
    for (const [position, x, y] of [["top left", left - width - 6, top - 18], ["bottom right", left + 6, top + 4], ["top right", left + 6, top - 18], ["bottom left", left - width - 6, top + 4]]) {
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
    type: "scatter",
    mode: "text",
    x: named.map((point) => value(keys.x, point)),
    y: named.map((point) => value(keys.y, point)),
    text: named.map((point) => safe(pointFormat(point))),
    textposition: [...placed.values()],
    textfont: { size: 11, color: styleOf("--ink") },
    hoverinfo: "skip",
  };
}

const overlap = ([x, y, width, height], [left, top, wide, high]) => x < left + wide && left < x + width && y < top + high && top < y + height;

let measuring = null;

function textWidth(text) {
  measuring ??= document.createElement("canvas").getContext("2d");
  measuring.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  return measuring.measureText(text).width + 2;
}
