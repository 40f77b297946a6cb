/* The table as a file. */

/** The rows and columns that the table shows, as comma-separated values (RFC 4180). */
function csvText() {
  const keys = ["format", ...tableColumns()];
  const heads = keys.map((key) => labelWithUnit(key));
  const numbers = frontNumbers();
  const lines = sorted(view.shown).map((point) => [numbers(point), ...keys.map((key) => value(key, point))]);
  return [["front", ...heads], ...lines].map((line) => line.map(csvField).join(",")).join("\r\n") + "\r\n";
}

function csvField(is) {
  if (is === null || is === undefined) return "";
  if (typeof is === "number") return String(is);
  const text = /^[=+\-@\t\r]/.test(is) ? `'${is}` : String(is); // a spreadsheet would read a formula
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

function saveCsv() {
  const url = URL.createObjectURL(new Blob([csvText()], { type: "text/csv;charset=utf-8" }));
  make("a", { href: url, download: "hwsim_comparison.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
