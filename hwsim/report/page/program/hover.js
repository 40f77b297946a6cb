/* What a pointer does in a picture: an explanation, a choice, a zoom. */

const CONFIGURATION = {
  displaylogo: false,
  displayModeBar: true,
  responsive: false,
  doubleClick: false,
  showTips: false,
  modeBarButtons: [
    ["select2d", "lasso2d", "zoom2d", "pan2d"],
    [{
      name: "whole",
      title: "Show the whole picture again",
      icon: { width: 24, height: 24, path: "M4 9V4h5v2H6v3zm11-5h5v5h-2V6h-3zM4 15h2v3h3v2H4zm14 0h2v5h-5v-2h3z" },
      click: (element) => unzoom(element.id),
    }],
    [{
      name: "drawing",
      title: "Save the picture as SVG",
      icon: { width: 24, height: 24, path: "M11 3h2v9l3-3 1.4 1.4L12 16l-5.400-5.600L8 9l3 3zM4 18h16v2H4z" },
      click: (element) => {
        const { clientWidth: width, clientHeight: height } = element;
        Plotly.downloadImage(element, { format: "svg", filename: "hwsim_comparison", width, height });
      },
    }],
  ],
};

function unzoom(id) {
  zoomed.delete(id);
  drawPicture(PICTURES.find((picture) => picture.id === id));
}

/** Connect a picture's events; once, after it was drawn first. */
function connect(picture) {
  const element = byId(picture.id);
  let together = false;
  element.addEventListener("pointerdown", (event) => { together = event.shiftKey || event.ctrlKey || event.metaKey; }, true);
  element.on("plotly_click", ({ points }) => {
    if (points[0].customdata !== undefined) choose(points[0].customdata, together);
  });
  element.on("plotly_selected", (event) => {
    const points = (event?.points ?? []).map((each) => each.customdata).filter((point) => point !== undefined);
    if (points.length) select([...new Set(together ? [...state.selected, ...points] : points)]);
    else if (event) requestAnimationFrame(() => drawPicture(picture));
  });
  element.on("plotly_doubleclick", () => unzoom(picture.id));
  element.on("plotly_hover", ({ points, event }) => {
    if (points[0].customdata !== undefined) explain(points[0].customdata, picture, event);
  });
  element.on("plotly_unhover", hideExplanation);
  element.on("plotly_relayout", (changes) => {
    const axes = { x: "xaxis", y: "yaxis" };
    const ranges = Object.entries(axes).filter(([, name]) => `${name}.range[0]` in changes || `${name}.range` in changes);
    if (!ranges.length) return;
    zoomed.set(picture.id, { x: [...element.layout.xaxis.range], y: [...element.layout.yaxis.range] });
    requestAnimationFrame(() => drawPicture(picture));
  });
}

/** Show what a point is, beside the pointer, and where it is in both pictures. */
function explain(point, picture, event) {
  const [x, y] = [state[picture.x], state[picture.y]];
  const figures = [y, x, ...[state.x, state.x2, state.y, state.y2]].filter((key, at, all) => all.indexOf(key) === at);
  const about = byId("about");
  fill(
    about,
    make("p", { class: "about-name" }, symbolDrawing(symbols(state.symbol)(point), colouring(state.colour)(point), isFitted(point)), pointFormat(point)),
    make("p", { class: "about-unit" }, [value("unit", point), pointPlace(point)].filter(Boolean).join(" · ")),
    make("dl", {}, figures.map((key) => [make("dt", {}, label(key)), make("dd", {}, withError(key, point))])),
    make("p", {}, standing(point, picture.front(), x, y)),
    isFitted(point) && make("p", { class: "about-note" }, fittedText(point)),
  );
  about.hidden = false;
  const { width, height } = about.getBoundingClientRect();
  const left = event.clientX + 16 + width > innerWidth ? event.clientX - width - 16 : event.clientX + 16;
  const top = Math.min(Math.max(8, event.clientY - height / 2), innerHeight - height - 8);
  about.style.left = `${Math.max(8, left)}px`;
  about.style.top = `${top}px`;
  for (const each of PICTURES) spot(each, point);
}

function hideExplanation() {
  byId("about").hidden = true;
  for (const picture of PICTURES) byId(`${picture.id}-spot`).hidden = true;
}

/** Ring a point under the pointer in a picture. */
function spot(picture, point) {
  const ring = byId(`${picture.id}-spot`);
  const { frame, points } = drawn.get(picture.id);
  ring.hidden = !points.has(point);
  if (ring.hidden) return;
  ring.style.left = `${frame.left(point)}px`;
  ring.style.top = `${frame.top(point)}px`;
}

function withError(key, point) {
  const error = statisticalError(key, point);
  return withUnit(key, point) + (error === null ? "" : ` ± ${significant(error, 2)}`);
}

function fittedText(point) {
  const error = fittedError(point);
  return `The unit's cost is fitted, not measured${error === null ? "" : `: figures may be off by ${significant(error, 2)} %`}.`;
}
