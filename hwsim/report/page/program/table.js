/* The table of points: sorted, filtered, its columns chosen, a part of its rows at a time. */

const FIRST_ROWS = 50;
let rowsShown = FIRST_ROWS;

function drawTable() {
  rowsShown = FIRST_ROWS;
  drawHead();
  drawRows();
}

const tableColumns = () => state.columns.filter(has);

function drawHead() {
  const heads = [["front", "front", ""], ...tableColumns().map((key) => [key, label(key), column(key).unit])];
  fill(
    byId("head"),
    make("td", {}, make("span", { class: "unseen" }, "selected")),
    headCell("format", "format", "", "row-name"),
    heads.map(([key, name, unit]) => headCell(key, name, unit, column(key)?.numeric ? "number" : "")),
  );
}

function headCell(key, name, unit, kind) {
  const sorts = sortKey() === key;
  const sort = () => {
    const down = sorts ? !sortsDown() : key === "front" || has(key) && direction(key) > 0;
    change({ sort: down ? `-${key}` : key });
    byId("head").querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  };
  const arrow = sorts ? (sortsDown() ? "↓" : "↑") : "";
  const pressed = make("button", { type: "button", "data-key": key, on: { click: sort }, title: key === "front" ? frontTitle() : column(key)?.description || false },
    make("span", {}, name, unit && make("small", {}, ` ${unit}`)), make("span", { class: "arrow", "aria-hidden": "true" }, arrow));
  return make("th", { scope: "col", class: kind, "aria-sort": sorts ? (sortsDown() ? "descending" : "ascending") : "none" }, pressed);
}

const frontTitle = () => `1: ${label(state.y)} against ${label(state.x)}; 2: ${label(state.y2)} against ${label(state.x2)}`;

/** Draw the rows there is room for, and buttons for more. */
function drawRows() {
  const points = sorted(view.shown);
  const numbers = frontNumbers();
  const chosen = new Set(state.selected);
  const keys = tableColumns();
  const colour = colouring(state.colour);
  const symbol = symbols(state.symbol);
  fill(byId("rows"), points.slice(0, rowsShown).map((point) => row(point, keys, numbers(point), chosen.has(point), colour, symbol)));
  const left = points.length - rowsShown;
  const text = left > 0 ? `Rows 1 to ${formatter({}).format(rowsShown)} of ${formatter({}).format(points.length)}` : plural(points.length, "row");
  fill(
    byId("more"),
    make("span", {}, text),
    left > 0 && button(`Show ${Math.min(left, 200)} more`, () => { rowsShown += 200; drawRows(); }),
    left > 200 && button("Show all", () => { rowsShown = Infinity; drawRows(); }),
  );
}

function row(point, keys, fronts, chosen, colour, symbol) {
  const box = make("input", { type: "checkbox", "aria-label": `Select ${pointName(point)}` });
  box.checked = chosen;
  const made = make(
    "tr",
    { class: [chosen ? "chosen" : "", fronts ? "on-front" : ""].join(" ").trim() || false, "data-point": point },
    make("td", {}, box),
    make("th", { scope: "row", class: "row-name" }, symbolDrawing(symbol(point), colour(point), isFitted(point)), make("bdi", {}, pointFormat(point))),
    make("td", { class: "front" }, fronts),
  );
  for (const key of keys) made.append(cell(key, point));
  return made;
}

function cell(key, point) {
  const each = column(key);
  if (!each.numeric) return make("td", {}, cellText(key, point));
  const fitted = each.quantity?.priced && isFitted(point) && value(key, point) !== null;
  return make("td", { class: "number", title: fitted ? fittedText(point) : false }, fitted ? "≈ " : "", cellText(key, point));
}

/** Clicks of all rows: the box adds a point or takes it away, elsewhere a point is chosen alone. */
function connectTable() {
  byId("rows").addEventListener("click", (event) => {
    const line = event.target.closest("tr");
    if (!line || (getSelection()?.toString() && !event.target.matches("input"))) return;
    choose(Number(line.dataset.point), event.target.matches("input") || event.shiftKey || event.ctrlKey || event.metaKey);
  });
  byId("csv").addEventListener("click", saveCsv);
  fill(byId("columns-choice"), popover("columns", "columns", columnChoice()));
}

/** Mark the rows that are selected, without drawing them again. */
function markRows() {
  const chosen = new Set(state.selected);
  for (const line of byId("rows").children) {
    const is = chosen.has(Number(line.dataset.point));
    line.classList.toggle("chosen", is);
    line.querySelector("input").checked = is;
  }
}

function columnChoice() {
  const groups = new Map();
  for (const each of columns.values()) {
    if (each.key === "format") continue;
    if (!groups.has(each.group)) groups.set(each.group, []);
    groups.get(each.group).push(each);
  }
  const choices = [...groups.entries()].map(([group, list]) => make("fieldset", {}, make("legend", {}, group), list.map((each) =>
    checkBox(labelWithUnit(each.key), false, (checked) => {
      const order = [...columns.keys()];
      const kept = state.columns.filter((key) => key !== each.key);
      change({ columns: checked ? [...kept, each.key].sort((a, b) => order.indexOf(a) - order.indexOf(b)) : kept });
    }, { "data-column": each.key }))));
  return make("div", { class: "column-choice" }, ...choices);
}

function showColumns() {
  for (const box of document.querySelectorAll("input[data-column]")) box.checked = state.columns.includes(box.dataset.column);
}
