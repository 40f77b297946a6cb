/* The selected points in full, side by side. */

const MOST_BESIDE = 4;
const LETTERS = ["A", "B", "C", "D"];

function drawDetails() {
  const points = state.selected.slice(0, MOST_BESIDE);
  byId("details").hidden = !points.length;
  byId("selection").hidden = !points.length;
  if (!points.length) {
    fill(byId("details-body"));
    return;
  }
  const more = state.selected.length - points.length;
  fill(
    byId("details-body"),
    more > 0 && make(
      "p",
      { class: "quiet" },
      `${plural(state.selected.length, "point")} are selected; these are the first ${MOST_BESIDE}. `,
      "The filter “selected” lists all of them in the table.",
    ),
    make("div", { class: "beside" }, points.map(card)),
    points.length > 1 && make("p", { class: "quiet" }, "Ratios, and differences of decibels and per cent, are to A: ▴ is better, ▾ worse."),
    make("div", { class: "numbers" }, figuresTable(points), make("div", { class: "breakdowns" }, breakdowns(points))),
    make("div", { class: "beside" }, points.map(diagram)),
    make("div", { class: "beside" }, points.map(provenance)),
  );
  drawSelectionBar();
}

/** The bar at the foot of the window: what is selected, and where to go from there; not while that is in view. */
function drawSelectionBar() {
  const { selected } = state;
  const names = selected.slice(0, 2).map((point, at) => make("span", { class: "tag" }, make("b", {}, LETTERS[at]), " ", pointName(point)));
  fill(
    byId("selection"),
    make("div", { class: "tags" }, names, selected.length > 2 && make("span", { class: "tag" }, `and ${selected.length - 2} more`)),
    make("span", { class: "narrow" }, `${formatter({}).format(selected.length)} selected`),
    button(selected.length > 1 ? "Compare" : "Details", () => {
      byId("details").scrollIntoView();
      byId("details-title").focus({ preventScroll: true });
    }),
    button("Clear", () => select([])),
  );
}

/** Take the bar away while the selected points are in view, which it would cover. */
function watchSelection() {
  new IntersectionObserver(([{ isIntersecting }]) => byId("selection").classList.toggle("aside", isIntersecting)).observe(byId("details"));
}

const letter = (at) => make("span", { class: "letter" }, LETTERS[at]);

function card(point, at) {
  const rows = placing.map((key) => [label(key), settingText(key, point)]).filter(([, text]) => text);
  return make(
    "section",
    { class: "card" },
    make("h3", {}, letter(at), symbolDrawing(symbols(state.symbol)(point), colouring(state.colour)(point), isFitted(point)), pointFormat(point)),
    make("p", { class: "mono quiet" }, value("unit", point)),
    rows.length > 0 && make("p", { class: "quiet" }, rows.map(([, text]) => text).join(" · ")),
    make("p", {}, make("b", {}, `1, ${label(state.y)} against ${label(state.x)}: `), standing(point, view.front, state.x, state.y)),
    make("p", {}, make("b", {}, `2, ${label(state.y2)} against ${label(state.x2)}: `), standing(point, view.front2, state.x2, state.y2)),
    isFitted(point) && make("p", { class: "warning" }, fittedText(point)),
  );
}

/** All figures with their units; of a second point and others the ratio to the first. */
function figuresTable(points) {
  const groups = new Map();
  for (const each of columns.values()) {
    if (!each.numeric || !each.quantity || points.every((point) => each.values[point] === null)) continue;
    if (!groups.has(each.group)) groups.set(each.group, []);
    groups.get(each.group).push(each);
  }
  const heads = points.flatMap((point, at) => [
    make("th", { scope: "col", class: "number" }, letter(at), make("span", { class: "name" }, ` ${pointFormat(point)}`)),
    at > 0 && make("th", { scope: "col", class: "ratio" }, `${LETTERS[at]} / A`),
  ]);
  const bodies = [...groups.entries()].map(([group, list]) => make(
    "tbody",
    {},
    make("tr", { class: "group" }, make("th", { scope: "rowgroup", colspan: 2 + 2 * points.length }, group)),
    list.map((each) => figureRow(each, points)),
  ));
  return make(
    "div",
    { class: "scroll", role: "region", tabindex: "0", "aria-label": "All figures of the selected points" },
    make("table", { class: "figures" }, make("caption", { class: "unseen" }, "All figures of the selected points"),
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "figure"), heads, make("th", { scope: "col" }, "unit"))), bodies),
  );
}

function figureRow(each, points) {
  const cells = points.flatMap((point, at) => [
    make("td", { class: "number" }, figureText(each, point)),
    at > 0 && ratioCell(each, point, points[0]),
  ]);
  return make("tr", {}, make("th", { scope: "row", title: each.description || false }, each.label), cells, make("td", { class: "quiet" }, each.unit));
}

function figureText(each, point) {
  const error = statisticalError(each.key, point);
  const mark = each.quantity.priced && isFitted(point) && value(each.key, point) !== null ? "≈ " : "";
  return mark + numberText(each.key, point) + (error === null ? "" : ` ± ${significant(error, 2)}`);
}

/** The ratio to the first point; a difference where a ratio says little (per cent, decibels). */
function ratioCell(each, point, first) {
  const [is, was] = [value(each.key, point), value(each.key, first)];
  if (typeof is !== "number" || typeof was !== "number") return make("td", { class: "ratio" });
  if (is === was) return make("td", { class: "ratio" }, "=");
  const apart = each.unit === "%" || each.unit === "dB";
  const text = apart ? `${is - was < 0 ? "−" : "+"}${significant(Math.abs(is - was), 3)}` : was === 0 ? "" : `${significant(is / was, 3)} ×`;
  const gain = text === "1 ×" ? 0 : Math.sign(is - was) * direction(each.key);
  if (!text || gain === 0) return make("td", { class: "ratio" }, text);
  const [kind, word] = gain > 0 ? ["gain", " better"] : ["loss", " worse"];
  return make("td", { class: `ratio ${kind}` }, text, make("span", { class: "unseen" }, word));
}

/** The block diagram of a point's unit. */
function diagram(point, at) {
  const { lines, of } = payload.diagrams;
  const drawn = of[value("unit", point)].map((line) => lines[line]).join("\n");
  const svg = document.importNode(new DOMParser().parseFromString(drawn, "image/svg+xml").documentElement, true);
  return make("section", { class: "card" }, make("h3", {}, letter(at), "The unit and its widths"),
    make("div", { class: "drawing scroll", role: "region", tabindex: "0", "aria-label": `Block diagram of ${value("unit", point)}` }, svg),
    make("p", { class: "quiet narrow" }, "Scroll the diagram sideways to see all of it."));
}

/** Where a point's figures come from, and commands that say more of it. */
function provenance(point, at) {
  return make(
    "section",
    { class: "card" },
    make("h3", {}, letter(at), "Sources and assumptions"),
    make("ul", { class: "plain" }, sourcesOf[point].map((source) => make("li", {}, payload.sources.texts[source]))),
    make("h4", {}, "More of it"),
    commandsOf(point).map(commandLine),
  );
}

/** Commands that say more of a point; none where a name would have to be quoted. */
function commandsOf(point) {
  const unit = value("unit", point);
  const technology = value("technology", point);
  if (![unit, technology].every((name) => /^[\w.]+$/.test(name))) return [];
  const ranks = ranksOf[point];
  const built = ranks === null ? [] : [
    `hwsim cost ${unit} --technology ${technology} --pipeline ${ranks} --no-measure`,
    `hwsim verilog ${unit} --pipeline ${ranks} -o ${unit}`,
  ];
  return [`hwsim units ${unit}`, ...built];
}

function commandLine(command) {
  return make("div", { class: "command" }, make("code", {}, command), copyButton("Copy", command, "The command is copied."));
}
