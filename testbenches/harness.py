# SPDX-License-Identifier: Apache-2.0
"""C++ around Verilator's model of a module: arrays of rows in, arrays of rows out."""

import re
from collections.abc import Sequence

__all__ = [
    "HANDSHAKE",
    "harness",
]

HANDSHAKE = ("i_valid", "i_ready", "o_valid", "o_ready")
"""Ports of a module that takes rows from a stream and gives a stream."""

_PORT = re.compile(r"^\s*VL_(IN|OUT)(8|16|64|W)?\(&(\w+),(\d+),(\d+)(?:,\d+)?\);", re.MULTILINE)

# A port is a plain integer of up to 64 bits, or an array of 32-bit words; a row of an array holds 64-bit words.
_HARNESS = """
#define PUBLIC __attribute__((visibility("default")))
namespace {{
template <typename T> inline void put(T& port, const uint64_t*& word) {{ port = T(*word++); }}
template <size_t N> inline void put(VlWide<N>& port, const uint64_t*& word) {{
    for (size_t i = 0; i < N; i += 2, ++word) {{
        port[i] = EData(*word);
        if (i + 1 < N) port[i + 1] = EData(*word >> 32);
    }}
}}
template <typename T> inline void get(const T& port, uint64_t*& word) {{ *word++ = port; }}
template <size_t N> inline void get(const VlWide<N>& port, uint64_t*& word) {{
    for (size_t i = 0; i < N; i += 2) *word++ = port[i] | (i + 1 < N ? uint64_t(port[i + 1]) << 32 : 0);
}}
struct Model {{
    VerilatedContext context;
    {prefix}* top;
    explicit Model(int seed) {{
        context.randReset(2);
        context.randSeed(seed);
        top = new {prefix}(&context);
    }}
    ~Model() {{ delete top; }}
}};
}}
extern "C" {{
PUBLIC void* create(int seed) {{ return new Model(seed); }}
PUBLIC void destroy(void* model) {{ delete static_cast<Model*>(model); }}
PUBLIC void run(void* model, const uint64_t* const* in, uint64_t* const* out, uint64_t n) {{
    {prefix}& top = *static_cast<Model*>(model)->top;
{cursors}
    for (uint64_t row = 0; row < n; ++row) {{
{loop}
    }}
}}
{streams}
}}
"""

# Rows go in where both valid and ready are high, outputs come out so; both are held low at random. A port is counted as
# broken in every cycle in which it takes back what it offered.
_STREAMS = """
PUBLIC void streams(void* model, const uint64_t* const* in, uint64_t* const* out,
        uint64_t* counts, uint64_t seed, unsigned bubbles, unsigned stalls) {{
    {prefix}& top = *static_cast<Model*>(model)->top;
    const uint64_t rows = counts[0], outputs = counts[1], patience = counts[2];
    uint64_t sent = 0, got = 0, cycles = 0, idle = 0, broken = 0, x = seed * 2654435769u + 88172645463325252u;
    bool offered = false, waiting = false;
{cursors}
{held}
    while (idle < patience && got <= outputs) {{
        x ^= x << 13; x ^= x >> 7; x ^= x << 17;
        if (!offered && sent < rows && (x & 255) >= bubbles) {{
{loop}
            offered = true;
        }}
        top.{valid} = offered;
        top.{out_ready} = ((x >> 20) & 255) >= stalls;
        top.{clock} = 0;
        top.eval();
        const bool accepted = offered && top.{ready}, given = top.{out_valid} && top.{out_ready};
        if (waiting && !top.{out_valid}) ++broken;
{stable}
        waiting = top.{out_valid} && !top.{out_ready};
        if (given && got < outputs) {{
{store}
        }}
        got += given;
        sent += accepted;
        if (accepted) offered = false;
        idle = accepted || given ? 0 : idle + 1;
        ++cycles;
        top.{clock} = 1;
        top.eval();
    }}
    counts[0] = sent; counts[1] = got; counts[2] = cycles; counts[3] = broken;
}}
"""


def harness(prefix: str, header: str, clock: str) -> str:
    """
    Return C++ of the loops over rows, to stand behind a model in one text.

    Parameters
    ----------
    prefix : str
        Class of the model.
    header : str
        Its header, which declares the ports.
    clock : str
        Which of them is the clock, if there is such a port.
    """
    found = _PORT.findall(header)
    names = [(flow, member, int(high) - int(low) + 1, _plain(member)) for flow, _, member, high, low in found]
    ins = [member for flow, member, _, name in names if flow == "IN" and name != clock]
    outs = [member for flow, member, _, _ in names if flow == "OUT"]
    clocks = [member for flow, member, _, name in names if flow == "IN" and name == clock]
    cursors = [f"    const uint64_t* i{index} = in[{index}];" for index in range(len(ins))]
    cursors += [f"    uint64_t* o{index} = out[{index}];" for index in range(len(outs))]
    loop = [f"        put(top.{member}, i{index});" for index, member in enumerate(ins)]
    loop += [f"        top.{member} = 0;" for member in clocks] + ["        top.eval();"]
    loop += [f"        get(top.{member}, o{index});" for index, member in enumerate(outs)]
    if clocks:
        loop += [f"        top.{member} = 1;" for member in clocks] + ["        top.eval();"]
    described = "".join(f"{flow} {name} {bits}\\n" for flow, _, bits, name in names)
    table = f'extern "C" {{ PUBLIC extern const char* const ports = "{described}"; }}\n'
    streams = _streams(prefix, names, clock) if {clock, *HANDSHAKE} <= {name for *_, name in names} else ""
    text = _HARNESS.format(prefix=prefix, cursors="\n".join(cursors), loop="\n".join(loop), streams=streams)
    return text + table


def _streams(prefix: str, ports: Sequence[tuple[str, str, int, str]], clock: str) -> str:
    """Return the loop over clock cycles of a module with a stream in and a stream out."""
    members = {name: member for _, member, _, name in ports}
    data = [port for port in ports if port[3] not in (clock, *HANDSHAKE)]
    ins = [member for flow, member, _, _ in data if flow == "IN"]
    outs = [(member, -(-bits // 64)) for flow, member, bits, _ in data if flow == "OUT"]
    cursors = [f"    const uint64_t* i{index} = in[{index}];" for index in range(len(ins))]
    cursors += [f"    uint64_t* o{index} = out[{index}];" for index in range(len(outs))]
    held, stable, store = [], [], []
    for index, (member, limbs) in enumerate(outs):
        held.append(f"    uint64_t h{index}[{limbs}] = {{}}, n{index}[{limbs}];")
        stable.append(f"        {{ uint64_t* word = n{index}; get(top.{member}, word); }}")
        stable.append(f"        if (waiting && memcmp(n{index}, h{index}, sizeof h{index})) ++broken;")
        stable.append(f"        memcpy(h{index}, n{index}, sizeof h{index});")
        store.append(f"            get(top.{member}, o{index});")
    valid, ready, out_valid, out_ready = (members[name] for name in HANDSHAKE)
    return _STREAMS.format(
        prefix=prefix, clock=members[clock], valid=valid, ready=ready, out_valid=out_valid, out_ready=out_ready,
        cursors="\n".join(cursors), held="\n".join(held), stable="\n".join(stable), store="\n".join(store),
        loop="\n".join(f"            put(top.{member}, i{index});" for index, member in enumerate(ins)),
    )  # fmt: skip


def _plain(member: str) -> str:
    """Return the Verilog name of a member of Verilator's model, which spells some characters as __0 and two digits."""
    spelled = member.removeprefix("__SYM__")
    return re.sub(r"__0([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), spelled)
