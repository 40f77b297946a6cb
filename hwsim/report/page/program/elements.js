/* Elements by name. Text goes in as text: nothing of a comparison is ever read as HTML. */

const byId = (id) => document.getElementById(id);

/** Make an element: attributes by name, `on` a map of listeners, children elements or text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "style") {
      for (const [property, setting] of Object.entries(value)) element.style.setProperty(property, setting);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...present(children));
  return element;
}

/** Children without those that are not there, of lists and lists of lists. */
const present = (children) => children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== "");

function fill(element, ...children) {
  element.replaceChildren(...present(children));
}

/** Call at the end of a run of calls, not at each. */
function settled(call, milliseconds) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...values), milliseconds);
  };
}

/** A check box with its label; `changed` gets whether it is checked. */
function checkBox(label, checked, changed, more = {}) {
  const box = make("input", { type: "checkbox", on: { change: () => changed(box.checked) }, ...more });
  box.checked = checked;
  return make("label", { class: "check" }, box, make("span", {}, label));
}

/** A list to choose from: [[group, [[value, label], ...]], ...]; a group without a name has none. */
function chooser(id, label, groups, value, changed) {
  const select = make("select", { id, on: { change: () => changed(select.value) } });
  for (const [group, options] of groups) {
    const made = options.map(([each, text]) => make("option", { value: each, selected: each === value }, text));
    if (group) select.append(make("optgroup", { label: group }, ...made));
    else select.append(...made);
  }
  select.value = value;
  return make("label", { class: "choice", for: id }, make("span", {}, label), select);
}

function button(text, pressed, more = {}) {
  return make("button", { type: "button", on: { click: pressed }, ...more }, text);
}

/** Say something to those who do not see the page change. */
function announce(text) {
  byId("status").textContent = text;
}

/** Put text on the clipboard; where the browser forbids it, show it selected. */
async function copy(text, said) {
  try {
    await navigator.clipboard.writeText(text);
    announce(said);
    return true;
  } catch {
    const field = byId("copied");
    field.value = text;
    field.parentElement.hidden = false;
    field.select();
    announce("The browser does not let the page copy: the text is selected, copy it by hand.");
    return false;
  }
}

/** A button that copies, and says so for a moment. */
function copyButton(label, text, said) {
  const made = button(label, async () => {
    if (!(await copy(typeof text === "function" ? text() : text, said))) return;
    made.textContent = "Copied";
    setTimeout(() => { made.textContent = label; }, 1500);
  });
  return made;
}
