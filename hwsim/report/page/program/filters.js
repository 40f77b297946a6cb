/* The filters: text, check boxes, bounds of numbers. */

/** Draw the choices that never change, once. */
function drawFilters() {
  const facets = ["format", "family", ...varying.filter((key) => !["format", "family", "unit", "network"].includes(key))]
    .filter((key) => varying.includes(key));
  fill(byId("facets"), facets.map(facet), rangeFacet());
  const text = byId("text");
  const apply = settled(() => change({ text: state.text }), 120);
  text.addEventListener("input", () => { state.text = text.value; apply(); }); // at once, for what is drawn meanwhile
  for (const radio of document.querySelectorAll("input[name=show]")) {
    radio.addEventListener("change", () => change({ show: radio.value }));
  }
  byId("reset").addEventListener("click", () => change({ text: "", facets: {}, ranges: {}, show: "all" }));
}

/** A list of check boxes behind a button, one for each value of a field. */
function facet(key) {
  const values = distinct(key).sort((a, b) => String(a).localeCompare(String(b), "en", { numeric: true }));
  const counts = new Map();
  for (const each of column(key).values) counts.set(each, (counts.get(each) ?? 0) + 1);
  const boxes = values.map((each) => {
    const text = String(each);
    const box = checkBox("", false, (checked) => {
      const set = new Set(state.facets[key] ?? []);
      if (checked) set.add(text);
      else set.delete(text);
      change({ facets: withPart(state.facets, key, set.size ? set : null) });
    }, { "data-facet": key, "data-value": text });
    box.lastChild.append(each === null ? "as the accelerator has it" : text, make("span", { class: "tally" }, String(counts.get(each))));
    return box;
  });
  return popover(label(key), `facet-${key}`, make("fieldset", {}, make("legend", { class: "unseen" }, label(key)), ...boxes));
}

/** Return a copy of an object with a part replaced, or taken out where it is null. */
function withPart(parts, key, part) {
  const copied = { ...parts };
  if (part === null) delete copied[key];
  else copied[key] = part;
  return copied;
}

/** Something that opens below a button; Escape and a click elsewhere close it. */
function popover(text, id, ...children) {
  const made = make("details", { class: "popover", id }, make("summary", {}, text), make("div", { class: "pop" }, ...children));
  made.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !made.open) return;
    made.open = false;
    made.firstChild.focus();
  });
  made.addEventListener("toggle", () => {
    if (!made.open) return;
    for (const other of document.querySelectorAll("details.popover[open]")) if (other !== made) other.open = false;
    const pop = made.lastChild;
    pop.style.removeProperty("--shift");
    const over = pop.getBoundingClientRect().right - document.documentElement.clientWidth + 12;
    if (over > 0) pop.style.setProperty("--shift", `${-over}px`);
  });
  return made;
}

document.addEventListener("pointerdown", (event) => {
  for (const open of document.querySelectorAll("details.popover[open]")) if (!open.contains(event.target)) open.open = false;
});

/** Bounds of any number: a quantity to choose, and from where to where. */
function rangeFacet() {
  const numeric = [...columns.values()].filter((each) => each.numeric);
  const groups = grouped(numeric);
  let key = numeric[0]?.key ?? "";
  const from = make("input", { type: "number", step: "any", id: "range-from", inputmode: "decimal" });
  const to = make("input", { type: "number", step: "any", id: "range-to", inputmode: "decimal" });
  const show = () => {
    const [smallest, largest] = state.ranges[key] ?? [null, null];
    const numbers = column(key).values.filter((each) => typeof each === "number");
    from.value = smallest ?? "";
    to.value = largest ?? "";
    from.placeholder = significant(numbers.reduce((a, b) => Math.min(a, b), Infinity), 4);
    to.placeholder = significant(numbers.reduce((a, b) => Math.max(a, b), -Infinity), 4);
  };
  const redraw = settled(() => change({ ranges: state.ranges }), 200);
  const apply = () => {
    const bounds = [from, to].map((input) => (input.value === "" ? null : Number(input.value)));
    state.ranges = withPart(state.ranges, key, bounds.every((each) => each === null) ? null : bounds);
    redraw();
  };
  from.addEventListener("input", apply);
  to.addEventListener("input", apply);
  const choice = chooser("range-of", "Figure", groups, key, (chosen) => { key = chosen; show(); });
  const made = popover("bounds", "facet-bounds", choice, make("div", { class: "bounds" },
    make("label", { for: "range-from" }, "from ", from), make("label", { for: "range-to" }, "to ", to)));
  made.addEventListener("toggle", show);
  return made;
}

/** Columns as groups of options. */
function grouped(list) {
  const groups = new Map();
  for (const each of list) {
    if (!groups.has(each.group)) groups.set(each.group, []);
    groups.get(each.group).push([each.key, labelWithUnit(each.key)]);
  }
  return [...groups.entries()];
}

/** Draw what the filters are: check marks, chips that take one away, how many points are left. */
function showFilters() {
  if (document.activeElement !== byId("text")) byId("text").value = state.text;
  for (const radio of document.querySelectorAll("input[name=show]")) radio.checked = radio.value === state.show;
  for (const box of document.querySelectorAll("input[data-facet]")) {
    box.checked = state.facets[box.dataset.facet]?.has(box.dataset.value) ?? false;
  }
  for (const element of document.querySelectorAll("details.popover[id^=facet-]")) {
    const key = element.id.slice("facet-".length);
    const chosen = key === "bounds" ? Object.keys(state.ranges).length : state.facets[key]?.size ?? 0;
    element.firstChild.classList.toggle("active", chosen > 0);
  }
  const chips = [];
  for (const [key, set] of Object.entries(state.facets)) {
    const text = [...set].map((each) => (each === "null" ? "default" : each)).join(" or ");
    chips.push([`${label(key)}: ${text}`, { facets: withPart(state.facets, key, null) }]);
  }
  for (const [key, [smallest, largest]] of Object.entries(state.ranges)) {
    const text = [smallest !== null && `from ${smallest}`, largest !== null && `to ${largest}`].filter(Boolean).join(" ");
    chips.push([`${label(key)} ${text} ${column(key).unit}`.trim(), { ranges: withPart(state.ranges, key, null) }]);
  }
  if (state.text) chips.push([`“${state.text}”`, { text: "" }]);
  fill(byId("chips"), chips.map(([text, without]) =>
    button(text, () => { change(without); byId("text").value = state.text; }, { class: "chip", "aria-label": `Take away the filter ${text}` })));
  byId("reset").hidden = !chips.length && state.show === "all";
  byId("shown").textContent = view.shown.length === count ? plural(count, "point") : `${formatter({}).format(view.shown.length)} of ${plural(count, "point")}`;
}
