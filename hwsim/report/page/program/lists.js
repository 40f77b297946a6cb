/* What was compared, what stands out, what was refused, what is assumed, what to try next. */

function drawFacts() {
  const clocks = has("clock_mhz") ? column("clock_mhz").values.filter((each) => each !== null) : [];
  const ends = clocks.length ? [clocks.reduce((a, b) => Math.min(a, b)), clocks.reduce((a, b) => Math.max(a, b))] : [];
  const clock = [...new Set(ends)].map((each) => significant(each, 5)).join(" to ");
  const facts = [
    ["network", networks.length > 1 ? networkChoice() : listed(networks)],
    ["images", imagesText()],
    ["technology", listed(distinct("technology"))],
    ["accelerator", listed(distinct("accelerator"))],
    ["clock", clock && `${clock} MHz`],
    ["points", formatter({}).format(count) + (payload.refused.length ? ` and ${formatter({}).format(payload.refused.length)} refused` : "")],
    ["hwsim", payload.version],
  ];
  fill(byId("facts"), facts.filter(([, text]) => text).map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, make("bdi", {}, text)))));
}

/** Which network is shown; figures of two do not compare. */
function networkChoice() {
  const select = make("select", { id: "network", "aria-label": "Network", on: { change: () => showNetwork(select.value) } },
    [...networks.map((each) => [each, each]), ["", `all ${networks.length}`]].map(([value, text]) => make("option", { value }, text)));
  return select;
}

/** How many images each network saw. */
function imagesText() {
  if (!has("images")) return "";
  const found = new Map(networks.map((each) => [each, new Set()]));
  for (const point of everyPoint) if (value("images", point) !== null) found.get(value("network", point)).add(value("images", point));
  const numbers = (set) => [...set].sort((a, b) => a - b).map((each) => significant(each, 7)).join(", ");
  return [...found].filter(([, set]) => set.size).map(([name, set]) => (networks.length > 1 ? `${name} ${numbers(set)}` : numbers(set))).join(" · ");
}

const listed = (names) => (names.length > 4 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", "));

const MOST_GROUPS = 3; // with answers of their own

/** Three answers a network and technology: the best, and the cheapest that loses at most a point of accuracy. */
function drawGlance() {
  const groups = byGroup(view.filtered);
  const cards = groups.slice(0, MOST_GROUPS).flatMap(answers);
  const left = groups.length - MOST_GROUPS;
  fill(
    byId("glance"),
    cards.filter(([, point]) => point !== undefined).map(answerCard),
    left > 0 && make("p", { class: "quiet" }, `${plural(left, "other pair")} of network and technology: filter to see the best of them.`),
  );
}

/** The answers of points of one network and technology: [title, point, figures]. */
function answers(points) {
  const best = (key, among) => {
    const known = among.filter((point) => isNumber(key, point));
    return known.sort((a, b) => compared(key, b, a) || (direction(state.x) && isNumber(state.x, a) && isNumber(state.x, b) ? compared(state.x, b, a) : 0))[0];
  };
  const near = has("accuracy") && has("float_accuracy")
    ? points.filter((point) => isNumber("accuracy", point) && value("accuracy", point) >= value("float_accuracy", point) - 1)
    : [];
  const cards = direction(state.y) ? [[`Best ${label(state.y)}`, best(state.y, points), [state.y, state.x]]] : [];
  for (const key of [state.x, state.x2]) {
    if (direction(key) && near.length) cards.push([`Best ${label(key)}, at most 1 point of accuracy below float32`, best(key, near), [key, "accuracy"]]);
  }
  const of = groupName(points[0]);
  return cards.map(([title, ...more]) => [of ? `${title}, ${of}` : title, ...more]);
}

function answerCard([title, point, keys]) {
  return make(
    "button",
    { type: "button", class: "answer", on: { click: () => choose(point, false) } },
    make("span", { class: "answer-title" }, title),
    make("span", { class: "answer-name" }, symbolDrawing(symbols(state.symbol)(point), colouring(state.colour)(point), isFitted(point)), make("bdi", {}, pointFormat(point))),
    make("span", { class: "quiet" }, pointPlace(point)),
    make("span", { class: "answer-figures" }, keys.map((key) => `${label(key)} ${withError(key, point)}`).join(" · ")),
  );
}

function drawRefused() {
  byId("refused").hidden = !payload.refused.length;
  fill(byId("refused-title"), `Refused: ${plural(payload.refused.length, "point")}`);
  const line = ({ format, unit, accelerator, technology, network, settings, reason }) => {
    const place = [accelerator, technology, network, ...Object.entries(settings).map(([key, is]) => `${key} = ${is}`)].join(" · ");
    return make("tr", {}, make("th", { scope: "row" }, format, make("div", { class: "mono quiet" }, unit)), make("td", {}, place), make("td", {}, reason));
  };
  fill(byId("refused-rows"), payload.refused.slice(0, 500).map(line));
  byId("refused-more").hidden = payload.refused.length <= 500;
}

function drawAssumptions() {
  const notes = [...payload.notes];
  if (has("images") && has("accuracy")) {
    const most = everyPoint.map((point) => statisticalError("accuracy", point)).filter((each) => each !== null);
    if (most.length) {
      const images = [...new Set(everyPoint.filter((point) => isNumber("accuracy", point)).map((point) => significant(value("images", point), 7)))].join(", ");
      notes.push(
        `Accuracy is of a sample of ${images} images: ± is half of the 95 % interval (Wilson), up to `
        + `${significant(Math.max(...most), 2)} points here. All points of a network saw the same images, so that `
        + "differences between two points are surer than that.",
      );
    }
  }
  if (everyPoint.some(isFitted)) {
    notes.push(
      "≈ and hollow symbols: the cost of the unit comes from a model fitted on measured units; the error given is that "
      + "which nine of ten formats, held out of the fit, stay below.",
    );
  }
  fill(byId("notes"), notes.map((note) => make("li", {}, note)));
  const used = new Map();
  for (const sources of sourcesOf) for (const source of sources) used.set(source, (used.get(source) ?? 0) + 1);
  const order = [...used.entries()].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  fill(byId("sources"), order.map(([source, times]) =>
    make("li", {}, payload.sources.texts[source], " ", make("span", { class: "tally" }, times === count ? "all points" : plural(times, "point")))));
  const described = [...columns.values()].filter((each) => each.quantity);
  fill(byId("meanings"), described.map((each) => [
    make("dt", {}, labelWithUnit(each.key)),
    make("dd", {}, each.description, direction(each.key) !== 0 && ` (${direction(each.key) > 0 ? "more" : "less"} is better)`),
  ]));
}

function drawNext() {
  byId("next").hidden = !payload.next.length;
  fill(byId("next-list"), payload.next.map(([text, command]) => make("li", {}, make("p", {}, text), commandLine(command))));
}
