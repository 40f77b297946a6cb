/* The page: its choices, what is drawn when, and when it is ready. */

const PARTS_OF_PICTURES = [...FILTERING, "show", "x", "y", "x2", "y2", "log", "colour", "symbol", "selected", "theme"];

function drawAxisChoices() {
  const groups = grouped(measurable);
  for (const [id, [y, x]] of [["axes-1", ["y", "x"]], ["axes-2", ["y2", "x2"]]]) {
    fill(byId(id), [[y, "y"], [x, "x"]].map(([part, text]) => make(
      "div",
      { class: "axis-choice" },
      chooser(`axis-${part}`, text, groups, state[part], (chosen) => { zoomed.clear(); change({ [part]: chosen }); }),
      checkBox("log", state.log.has(state[part]), (checked) => toggleLog(state[part], checked), { "data-log": part }),
    )));
  }
  const kinds = [...columns.values()].filter((each) => !each.quantity && distinct(each.key).length > 1);
  const numbers = measurable.filter((each) => distinct(each.key).length > 1);
  const colours = [["", [["family", "family"]]], ...grouped(kinds.filter((each) => each.key !== "family")), ...grouped(numbers)];
  const shapes = [["", [["", "all alike"]]], ...grouped(kinds)];
  fill(
    byId("mark-choices"),
    chooser("colour", "Colour", colours, state.colour, (chosen) => change({ colour: chosen })),
    chooser("symbol", "Symbol", shapes, state.symbol, (chosen) => change({ symbol: chosen })),
  );
}

function toggleLog(key, checked) {
  const log = new Set(state.log);
  if (checked) log.add(key);
  else log.delete(key);
  zoomed.clear();
  change({ log });
}

function showAxisChoices() {
  for (const part of ["x", "y", "x2", "y2"]) byId(`axis-${part}`).value = state[part];
  for (const box of document.querySelectorAll("input[data-log]")) {
    const key = state[box.dataset.log];
    box.checked = state.log.has(key);
    box.disabled = !column(key).values.every((each) => each === null || each > 0);
  }
  byId("colour").value = state.colour;
  byId("symbol").value = state.symbol;
  for (const [id, part] of [["layers-of", "layersOf"], ["network", "network"], ["loss-of", "loss"], ["cost-of", "cost"]]) {
    if (byId(id)) byId(id).value = state[part];
  }
}

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const systemTheme = () => (systemDark.matches ? "dark" : "light");

function showTheme() {
  document.documentElement.dataset.theme = state.theme || systemTheme();
  byId("theme").textContent = theme() === "dark" ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", `Change to the ${theme() === "dark" ? "light" : "dark"} theme`);
}

/** What needs no point; all that there is where every point was refused. */
function drawAround() {
  byId("title").textContent = payload.title;
  byId("title").classList.toggle("long", payload.title.length > 70);
  drawFacts();
  drawRefused();
  drawAssumptions();
  drawNext();
  byId("theme").addEventListener("click", () => {
    const other = theme() === "dark" ? "light" : "dark";
    change({ theme: other === systemTheme() ? "" : other });
  });
  byId("link").replaceWith(Object.assign(copyButton("Copy link", () => location.href, "The link to this view is copied."), { id: "link" }));
}

function drawOnce() {
  drawFilters();
  drawAxisChoices();
  drawLayerChoices();
  connectTable();
  watchSelection();
}

watch(["theme"], showTheme);
drawAround();
const empty = !measurable.length;
if (empty) {
  for (const section of document.querySelectorAll(".with-points")) section.hidden = true;
  showTheme();
  systemDark.addEventListener("change", showTheme);
} else {
  watch([...FILTERING, "show", "selected"], showFilters);
  watch([...FILTERING, "show", "x", "y", "x2", "y2", "colour", "symbol", "theme", "sort", "columns"], drawTable);
  watch(["selected"], () => (state.show === "selected" ? drawTable() : markRows()));
  watch(["columns"], showColumns);
  watch([...FILTERING, "x", "y", "x2", "y2", "colour", "symbol", "theme"], drawGlance);
  watch([...FILTERING, "show", "colour", "symbol", "theme", "log"], drawLegend);
  watch(["selected", "x", "y", "x2", "y2", ...FILTERING, "theme", "colour", "symbol"], drawDetails);
  watch(["loss", "cost", "layersOf", "theme", "selected", "sort", "show", "x", "y", "x2", "y2", ...FILTERING], drawLayers);
  watch(["x", "y", "x2", "y2", "log", "colour", "symbol", "loss", "cost", "layersOf", "network"], showAxisChoices);
  drawOnce();
  followLink(); // all but the pictures: it can be read while the plotting library is being read
}
performance.mark("hwsim-readable");

/** The pictures; called at the end of the page. */
async function begin() {
  if (!empty) {
    await readLibrary();
    beginPictures();
  }
  document.documentElement.dataset.ready = "";
  performance.mark("hwsim-ready");
}

function beginPictures() {
  drawPictures();
  for (const picture of PICTURES) connect(picture);
  watch(PARTS_OF_PICTURES, drawPictures);
  let width = byId("pictures").clientWidth;
  new ResizeObserver(settled(() => {
    if (byId("pictures").clientWidth === width) return;
    width = byId("pictures").clientWidth;
    drawPictures();
  }, 100)).observe(byId("pictures"));
  systemDark.addEventListener("change", () => change({ theme: state.theme }));
  addEventListener("beforeprint", () => {
    document.documentElement.dataset.theme = "light";
    drawPictures();
  });
  addEventListener("afterprint", () => {
    showTheme();
    drawPictures();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && state.selected.length && !document.querySelector("details.popover[open]")) select([]);
  });
}
