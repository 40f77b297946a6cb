/* Numbers and points in words. */

const formatters = new Map();

function formatter(options) {
  const key = JSON.stringify(options);
  if (!formatters.has(key)) formatters.set(key, new Intl.NumberFormat("en", options));
  return formatters.get(key);
}

/** A number with so many significant digits. */
const significant = (number, digits) => formatter({ maximumSignificantDigits: digits }).format(number);

/** How a column's numbers are written: with as many decimals as show its largest well, so that they stand aligned. */
function aligned(key) {
  const { quantity, values } = column(key);
  const digits = quantity?.digits ?? 6;
  const numbers = values.filter((each) => typeof each === "number" && each !== 0).map(Math.abs);
  if (!numbers.length || numbers.every(Number.isInteger)) return formatter({ maximumSignificantDigits: 15 });
  const place = (number) => Math.floor(Math.log10(number));
  const decimals = Math.max(0, digits - 1 - place(numbers.reduce((a, b) => Math.max(a, b))));
  const smallest = numbers.reduce((a, b) => Math.min(a, b));
  if (decimals + place(smallest) < 2) return formatter({ minimumSignificantDigits: Math.min(3, digits), maximumSignificantDigits: digits });
  const needed = Math.max(...numbers.map((each) => String(Number(each.toFixed(decimals))).split(".")[1]?.length ?? 0));
  return formatter({ minimumFractionDigits: needed, maximumFractionDigits: needed });
}

const alignments = new Map();

/** A point's value of a column as a table shows it. */
function cellText(key, point) {
  const is = value(key, point);
  if (is === null || is === undefined) return "–";
  if (typeof is === "boolean") return is ? "yes" : "no";
  if (typeof is !== "number") return String(is);
  if (!alignments.has(key)) alignments.set(key, aligned(key));
  return alignments.get(key).format(is);
}

/** A value with its unit, as a sentence says it. */
function withUnit(key, point) {
  const is = value(key, point);
  if (is === null || is === undefined) return "not known";
  return [numberText(key, point), column(key).unit].filter(Boolean).join(" ");
}

/** A point's number with the digits that are worth showing. */
function numberText(key, point) {
  const is = value(key, point);
  if (typeof is !== "number") return cellText(key, point);
  const { quantity } = column(key);
  return significant(is, quantity?.kind === "int" ? 15 : quantity?.digits ?? 4);
}

const label = (key) => column(key).label;
const labelWithUnit = (key) => [label(key), column(key).unit].filter(Boolean).join(", ");

/** Half the width of the 95 % interval of a share of n images (Wilson), in points of per cent. */
function shareError(percent, images) {
  if (!images || percent === null) return null;
  const z = 1.96;
  const share = percent / 100;
  return 100 * z * Math.sqrt((share * (1 - share)) / images + (z * z) / (4 * images * images)) / (1 + (z * z) / images);
}

const SHARES_OF_IMAGES = new Set(["accuracy", "agreement", "float_accuracy"]);

/** The statistical error of a figure of a point, or null where it has none. */
function statisticalError(key, point) {
  if (!SHARES_OF_IMAGES.has(key) || !has("images")) return null;
  return shareError(value(key, point), value("images", point));
}

/** How a point differs from another in a quantity: "12 % less area", "0.8 points more accuracy". */
function difference(key, point, other) {
  const { unit, label: name } = column(key);
  const first = value(key, point);
  const second = value(key, other);
  if (first === second) return `the same ${name}`;
  const word = first > second ? "more" : "less";
  if (unit === "%") return `${significant(Math.abs(first - second), 2)} points ${word} ${name}`;
  if (unit === "dB") return `${significant(Math.abs(first - second), 2)} dB ${word} ${name}`;
  const ratio = first / second;
  if (!(ratio > 0) || !Number.isFinite(ratio)) return `${word} ${name}`;
  if (ratio > 2) return `${significant(ratio, 2)} times the ${name}`;
  return `${significant(Math.abs(ratio - 1) * 100, 2)} % ${word} ${name}`;
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const both = (texts) => (texts.length < 2 ? texts.join("") : `${texts.slice(0, -1).join(", ")} and ${texts.at(-1)}`);
const plural = (number, noun) => `${formatter({}).format(number)} ${noun}${number === 1 ? "" : "s"}`;
