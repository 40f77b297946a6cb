/* The Pareto front of two quantities, and why a point is on it or which one beats it. */

/** Which of two points is better in a quantity: positive the first, 0 equal. */
const compared = (key, first, second) => direction(key) * (value(key, first) - value(key, second));

const isNumber = (key, point) => typeof value(key, point) === "number";

/** The fronts of some points: one for each network in each technology. */
const frontsOf = (points, x, y) => byGroup(points).map((group) => pareto(group, x, y)).filter((front) => front.length);

/** The points that no other is at least as good as in both and better in one; in order of x. Equal points all are. */
function pareto(points, x, y) {
  if (!direction(x) || !direction(y) || x === y) return [];
  const order = points.filter((point) => isNumber(x, point) && isNumber(y, point));
  order.sort((first, second) => compared(x, second, first) || compared(y, second, first));
  const front = [];
  for (const point of order) {
    const last = front.at(-1);
    const further = last === undefined || compared(y, point, last) > 0;
    if (further || (compared(y, point, last) === 0 && compared(x, point, last) === 0)) front.push(point);
  }
  return front.sort((first, second) => value(x, first) - value(x, second));
}

/** Of fronts, the points of its network and technology that beat one; that with the largest relative gain in x first. */
function dominators(point, front, x, y) {
  const better = front.filter((other) => {
    if (groupOf[other] !== groupOf[point]) return false;
    const gains = [compared(x, other, point), compared(y, other, point)];
    return Math.min(...gains) >= 0 && Math.max(...gains) > 0;
  });
  return better.sort((first, second) => compared(x, second, first) || compared(y, second, first));
}

/** Whether a gain is smaller than the error of a share of images. */
function withinError(key, better, worse) {
  const error = statisticalError(key, worse);
  const gain = Math.abs(value(key, better) - value(key, worse));
  return error !== null && gain > 0 && gain < error ? ` (within the statistical error of ±${significant(error, 2)})` : "";
}

/** What a point is to the fronts, as a sentence. */
function standing(point, front, x, y) {
  for (const key of [x, y]) if (!isNumber(key, point)) return `Its ${label(key)} is not known.`;
  for (const key of [x, y]) if (!direction(key)) return `No front: neither way of ${label(key)} is better.`;
  if (front.includes(point)) return onFront(point, front, x, y);
  const better = dominators(point, front, x, y);
  if (!better.length) return "Not among the points shown.";
  const gains = [x, y].map((key) => difference(key, better[0], point) + withinError(key, better[0], point));
  const others = better.length > 1 ? ` So ${better.length === 2 ? "does" : "do"} ${plural(better.length - 1, "other point")} of the front.` : "";
  return `Beaten by ${pointName(better[0])}: ${both(gains)}.${others}`;
}

function onFront(point, front, x, y) {
  const words = [x, y].map((key) => `${direction(key) > 0 ? "more" : "less"} ${label(key)}`);
  const next = front.filter((other) => groupOf[other] === groupOf[point] && compared(y, other, point) > 0);
  const nearest = next.sort((first, second) => compared(y, first, second) || compared(x, second, first))[0];
  const of = groupName(point);
  const best = `On the front${of && ` of ${of}`}: nothing ${of ? "of it" : "shown"} has both ${words.join(" and ")}.`;
  if (nearest === undefined) return `${best} It has the best ${label(y)}.`;
  const cost = difference(x, nearest, point);
  return `${best} Next: ${pointName(nearest)}, ${difference(y, nearest, point)}${withinError(y, nearest, point)} for ${cost}.`;
}
