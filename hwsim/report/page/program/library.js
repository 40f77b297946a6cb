/* The plotting library, which the page holds compressed: unpacked while table and text are drawn, run after them. */

const unpackedLibrary = byId("plotly") && unpackLibrary(byId("plotly").textContent);

/** Unpack gzip in base64. */
async function unpackLibrary(text) {
  const packed = atob(text);
  const bytes = new Uint8Array(packed.length);
  for (let at = 0; at < packed.length; at += 1) bytes[at] = packed.charCodeAt(at);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).blob();
}

/** Run the library. */
async function readLibrary() {
  const url = URL.createObjectURL(new Blob([await unpackedLibrary], { type: "text/javascript" }));
  await new Promise((done, failed) => document.head.append(make("script", { src: url, on: { load: done, error: failed } })));
  URL.revokeObjectURL(url);
}
