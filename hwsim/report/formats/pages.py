# SPDX-License-Identifier: Apache-2.0
"""A page of documentation for each catalogued format, made from its spec."""

from pathlib import Path
from typing import Any

from hwsim.formats import BlockSpec, PhaseSpec
from hwsim.formats.catalog import AnyFormat, Entry, entries, names
from hwsim.report.formats.drawing import drawing
from hwsim.report.formats.facts import NEVER_MADE, Facts, elements, facts, landmarks, never_made
from hwsim.report.formats.tables import both, marked_values, short
from hwsim.report.formats.text import code_text, definition, value_text
from rtl.formats.block import check_block

__all__ = [
    "index_page",
    "page",
    "pages",
    "write_pages",
]

_GRID_BITS = 8
_GRID_COLUMNS = 8
_MADE = "<!-- Made by `python -m hwsim.report.formats docs/formats`: change the catalog, not this file. -->"


def pages() -> dict[str, str]:
    """Return every file of the documentation of formats, its text by its name."""
    files = {"index.md": index_page()}
    for entry in entries():
        about = facts(entry.spec)
        files[f"{entry.name}.md"] = page(about)
        files[f"{entry.name}.svg"] = drawing(about)
    return files


def write_pages(folder: str | Path) -> tuple[int, list[str]]:
    """Write the files into a folder, made if need be, and delete pages of formats that are no more.

    Returns
    -------
    int
        How many files there are.
    list of str
        The names of the files that are no more.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    files = pages()
    gone = sorted(file.name for file in path.iterdir() if file.suffix in (".md", ".svg") and file.name not in files)
    for name in gone:
        (path / name).unlink()
    for name, text in files.items():
        (path / name).write_text(text, encoding="utf-8", newline="\n")
    return len(files), gone


def index_page() -> str:
    """Return the page that lists the formats, family by family."""
    lines = [_MADE, "# Number formats", ""]
    lines += [
        f"The {len(entries())} formats of the catalog. `hwsim formats` prints this list, `hwsim formats NAME` one of",
        "them; `hwsim formats --on MODEL.onnx` ranks them on a network's weights. Names that follow a pattern (`int5`,",
        "`fixed12_8`, `minifloat_e3m4`, `mxfp4_b16`) need no entry.",
    ]
    family = None
    for entry in entries():
        if entry.family != family:
            family = entry.family
            lines += ["", f"## {family}", ""]
            lines += _head("format", "bits", "largest", "smallest > 0", "what it is")
        about = facts(entry.spec)
        cells = f"{about.bits_per_element:.7g}", short(about.largest), short(about.smallest), entry.summary
        lines.append(_line(f"[{entry.name}]({entry.name}.md)", *cells))
    return "\n".join(lines) + "\n"


def page(about: Facts) -> str:
    """Return the page of one format in Markdown; its picture is the file of the same name that ends in .svg."""
    entry = about.entry
    lines = [_MADE, f"# {entry.name}", "", f"{entry.summary}.", ""]
    lines += [f"Family: {entry.family}. Source: {entry.source}."]
    if entry.aliases:
        lines.append(f"Also called {', '.join(f'`{alias}`' for alias in entry.aliases)}.")
    lines += ["", f"![values and precision of {entry.name}]({entry.name}.svg)", ""]
    lines += _definition(about)
    lines += _range(about)
    lines += _rules(about)
    lines += _use(entry)
    lines += _values(entry)
    return "\n".join(lines) + "\n"


def _definition(about: Facts) -> list[str]:
    spec = about.entry.spec
    lines = ["## Definition", "", "```text", *definition(spec), "```"]
    if about.fields:
        lines.append("")
        lines += _head("field", "value")
        lines += [_line(key, f"`{value}`") for key, value in about.fields.items() if not isinstance(value, list)]
    if isinstance(spec, BlockSpec):
        elements = " or ".join(_link(inner.name) for inner in spec.elements)
        lines += ["", f"Elements: {elements}; scale: {_link(spec.scale.name)}."]
    return [*lines, ""]


def _link(name: str) -> str:
    return f"[{name}]({name}.md)" if name in names() else f"`{name}`"


def _range(about: Facts) -> list[str]:
    lines = ["## Range", "", *_head("quantity", "value")]
    share = "" if about.bits_per_element == about.entry.spec.bits else ", with its share of the scale"
    lines.append(_line("bits an element", f"{about.bits_per_element:.7g}{share}"))
    if about.largest is not None:
        lines += [
            _line("largest", both(about.largest)),
            _line("lowest", both(about.lowest)),
            _line("smallest positive", both(about.smallest)),
        ]
    if about.binades:
        lines.append(_line("significant bits", f"up to {max(b.significant_bits for b in about.binades):.3g}"))
    lines += [_line(what, text) for what, text in about.specials.items()]
    return [*lines, ""]


def _rules(about: Facts) -> list[str]:
    if not about.rounding and not about.overflow:
        return []
    listed = [(", ".join(f"`{rule}`" for rule in rules)) for rules in (about.rounding, about.overflow)]
    return ["## Rules of `encode`", "", f"Rounding: {listed[0]}.", "", f"Overflow: {listed[1]}.", ""]


def _use(entry: Entry) -> list[str]:
    name, spec = entry.name, entry.spec
    has_decoder, has_encoder = _codecs(spec)
    lines = ["## Use", "", "```python", *_python(entry, has_decoder=has_decoder), "```", "", "```sh"]
    lines.append(f"hwsim formats {name}")
    lines += [
        f"hwsim verilog {name} --part {part} -o {name}_rtl"
        for part, there in (("decoder", has_decoder), ("encoder", has_encoder))
        if there
    ]
    lines += ["```", ""]
    if isinstance(spec, BlockSpec) and has_decoder:
        lines += [f"The decoder takes an element and its scale; the encoder is that of {_link(spec.element.name)}.", ""]
    return lines


def _python(entry: Entry, *, has_decoder: bool) -> list[str]:
    """Return the lines of Python that use the format on values of their own."""
    spec = entry.spec
    head = ["import numpy as np", "", "import hwsim"]
    draw = "values = np.random.default_rng(0).normal(size=(4, 128))"
    if isinstance(spec, BlockSpec):
        lines = [
            *head,
            *(["from rtl.formats import BlockDecoder"] if has_decoder else []),
            "",
            f'fmt = hwsim.formats.named("{entry.name}")',
            draw.replace("(4,", "(16,"),
            "q = hwsim.formats.quantize(values, fmt, axis=-1)  # q.codes, q.scales",
            "values = q.dequantize()",
        ]
        return [*lines, *(["decoder = BlockDecoder(fmt)  # Amaranth"] if has_decoder else [])]
    codes = ["codes = fmt.encode(values)", "values = fmt.decode(codes)"]
    packed = "packed = hwsim.formats.pack_codes(codes, fmt.bits)  # dense, along the last axis"
    if not isinstance(spec, PhaseSpec):
        named = f'fmt = hwsim.formats.named("{entry.name}")'
        last = "decoder, encoder = Decoder(fmt), Encoder(fmt)  # Amaranth: a code to its fields, float32 to a code"
        return [*head, "from rtl.formats import Decoder, Encoder", "", named, draw, *codes, packed, last]
    return [
        *head,
        "from hwsim.formats.phase import phase_product",
        "from rtl.formats import PhaseDecoder, PhaseEncoder",
        "",
        "fmt = hwsim.formats.PhaseSpec()  # complex: `named` has the formats of real numbers",
        f"{draw} * (1 + 2j)",
        "q = hwsim.formats.quantize_phase(values)  # q.codes, q.scale_real, q.scale_imag, q.dequantize()",
        *codes,  # the phases alone
        packed,
        "x_real, x_imag = np.arange(128), np.arange(128)[::-1]  # activations: integers",
        "real, imag = phase_product(x_real, x_imag, q.codes)  # conj(x) * w, without the scales",
        "decoder, encoder = PhaseDecoder(), PhaseEncoder()  # Amaranth",
    ]


def _codecs(spec: AnyFormat) -> tuple[bool, bool]:
    """Return whether `hwsim verilog` writes a decoder and an encoder of the format."""
    if not isinstance(spec, BlockSpec):
        return True, True
    try:
        check_block(spec)
    except ValueError:
        return False, False
    return True, False


def _values(entry: Entry) -> list[str]:
    """Return the value tables, or what stands for them where there are too many values."""
    lines: list[str] = []
    for inner in elements(entry.spec):
        of = "" if inner is entry.spec else f" of the elements (`{inner.name}`)"
        lines += [*_table(inner, of), ""]
    return lines[:-1]


def _table(inner: Any, of: str) -> list[str]:
    """Return the values of a scalar format."""
    if inner.bits > _GRID_BITS:
        found = [(value_text(value), code_text(code, inner.bits), what) for what, code, value in landmarks(inner)]
        lines = [_line(value, f"`{code}`", what) for value, code, what in found]
        return [f"## Some values{of}", "", *_head("value", "code", ""), *lines]
    values = [value.replace("*", "\\*") for value in marked_values(inner)]
    columns = min(_GRID_COLUMNS, len(values))
    star = f" \\* {NEVER_MADE} by `encode`." if never_made(inner) else ""
    lines = [f"## Values{of}", "", f"The code is that of the row plus that of the column.{star}", ""]
    lines += _head("code", *(f"+{column:x}" for column in range(columns)))
    for start in range(0, len(values), columns):
        lines.append(_line(f"`{code_text(start, inner.bits)}`", *values[start : start + columns]))
    return lines


def _head(*cells: str) -> list[str]:
    return [_line(*cells), "|" + "---|" * len(cells)]


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
