/* What a figure is made of, as bars and as numbers: area and energy of the unit by stage, of an inference by component. */

const COMPONENTS = [
  ["energy_units_nj", "units"], ["energy_registers_nj", "registers"], ["energy_sram_nj", "SRAM"],
  ["energy_dram_nj", "DRAM"], ["energy_wires_nj", "wires"], ["energy_leakage_nj", "leakage"],
];

const stageParts = (key) => (point) => Object.entries(stages[point][key] ?? {});
const componentParts = (point) => COMPONENTS.filter(([key]) => has(key) && value(key, point) !== null)
  .map(([key, name]) => [name, value(key, point)]);

const BREAKDOWNS = [
  ["Area of the unit by stage", "µm²", stageParts("area_um2")],
  ["Energy of a step of the unit by stage", "pJ", stageParts("energy_pj")],
  ["Energy of an inference by component", "nJ", componentParts],
];

/** Return a section for each breakdown that is known of one of the points. */
function breakdowns(points) {
  return BREAKDOWNS.map(([title, unit, partsOf]) => {
    const all = points.map((point) => new Map(partsOf(point)));
    return all.some((parts) => parts.size) ? breakdown(title, unit, all) : null;
  });
}

function shareText(part, total) {
  if (part === undefined || !total) return "";
  const share = (100 * part) / total;
  return share > 0 && share < 0.5 ? "<1 %" : `${Math.round(share)} %`;
}

function breakdown(title, unit, all) {
  const names = [...new Set(all.flatMap((parts) => [...parts.keys()]))];
  const totals = all.map((parts) => [...parts.values()].reduce((a, b) => a + b, 0));
  const longest = Math.max(...totals);
  const colour = (name) => COLOURS[theme()][names.indexOf(name) % COLOURS.light.length];
  const bars = all.map((parts, at) => make(
    "div",
    { class: "bar-line", "aria-hidden": "true" },
    letter(at),
    make("div", { class: "bar" }, [...parts].map(([name, size]) =>
      make("span", { style: { width: `${(100 * size) / longest}%`, background: colour(name) }, title: `${name}: ${significant(size, 3)} ${unit}` }))),
  ));
  const heads = all.map((_, at) => [make("th", { scope: "col", class: "number" }, LETTERS[at]), make("th", { scope: "col", class: "number share" }, "%")]);
  const lines = names.map((name) => make(
    "tr",
    {},
    make("th", { scope: "row" }, make("span", { class: "swatch", style: { background: colour(name) }, "aria-hidden": "true" }), name),
    all.map((parts, at) => [
      make("td", { class: "number" }, parts.has(name) ? significant(parts.get(name), 3) : "–"),
      make("td", { class: "number quiet share" }, shareText(parts.get(name), totals[at])),
    ]),
  ));
  const sums = totals.map((total, at) => [make("td", { class: "number" }, all[at].size ? significant(total, 4) : "–"), make("td", { class: "share" })]);
  return make(
    "section",
    { class: "card" },
    make("h3", {}, title),
    bars,
    make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": title },
      make("table", {}, make("caption", { class: "unseen" }, title),
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, unit), heads)),
        make("tbody", {}, lines, make("tr", { class: "sum" }, make("th", { scope: "row" }, "all"), sums)))),
  );
}
