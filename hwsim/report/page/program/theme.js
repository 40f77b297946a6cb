/* Light or dark before anything is drawn: as the link says, else as the reader's system does. */
{
  const asked = new URLSearchParams(location.hash.slice(1)).get("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = asked === "light" || asked === "dark" ? asked : dark ? "dark" : "light";
}
