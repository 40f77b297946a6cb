/* What colours, symbols and marks of the pictures mean. */

const legendEntry = (drawing, text) => make("li", {}, drawing, make("span", {}, String(text ?? "none")));

function drawLegend() {
  const parts = [[label(state.colour), isScale(state.colour) ? scaleEntries() : colourEntries()]];
  if (state.symbol) parts.push([label(state.symbol), symbolEntries()]);
  parts.push(["", markEntries()]);
  fill(
    byId("legend"),
    parts.map(([name, entries]) => make("div", { class: "key" }, name && make("span", { class: "key-name" }, name), make("ul", {}, ...entries))),
  );
}

function scaleEntries() {
  const { low, span } = extent(state.colour);
  const back = state.log.has(state.colour) ? Math.exp : (number) => number;
  return SCALE[theme()].map((shade, at) => {
    const from = significant(back(low + (span * at) / SCALE.light.length), 2);
    return legendEntry(symbolDrawing("square", shade), `from ${from} ${column(state.colour).unit}`);
  });
}

function colourEntries() {
  const all = categories(state.colour);
  const seen = new Set(view.shown.map((point) => value(state.colour, point)));
  const own = all.slice(0, COLOURS.light.length);
  const entries = own.flatMap((each, at) => (seen.has(each) ? [legendEntry(symbolDrawing("circle", COLOURS[theme()][at]), each)] : []));
  const others = all.slice(own.length).filter((each) => seen.has(each)).length;
  if (others) entries.push(legendEntry(symbolDrawing("circle", OTHERS[theme()]), plural(others, "other")));
  return entries;
}

function symbolEntries() {
  const all = categories(state.symbol);
  const seen = new Set(view.shown.map((point) => value(state.symbol, point)));
  const last = SYMBOLS.length - 1;
  return all.slice(0, SYMBOLS.length).flatMap((each, at) => {
    const shared = at === last && all.length > SYMBOLS.length;
    if (!shared && !seen.has(each)) return [];
    return [legendEntry(symbolDrawing(SYMBOLS[at], OTHERS[theme()]), shared ? plural(all.length - last, "other") : each)];
  });
}

function markEntries() {
  const entries = [legendEntry(make("span", { class: "step", "aria-hidden": "true" }), groupNumbers.size > 1 ? "Pareto front of each network in each technology" : "Pareto front of the points that the filters leave")];
  const errors = everyPoint.filter(isFitted).map(fittedError);
  if (errors.length) {
    const worst = Math.max(...errors.filter((each) => each !== null));
    const error = worst > 0 ? `, error up to ${significant(worst, 2)} %` : "";
    entries.push(legendEntry(symbolDrawing("circle", OTHERS[theme()], true), `hollow: the unit's cost is fitted, not measured${error}`));
  }
  return entries;
}
