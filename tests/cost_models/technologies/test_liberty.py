# SPDX-License-Identifier: Apache-2.0
"""Liberty and Verilog made from a technology."""

from collections.abc import Callable

from cost_models.synthesis.yosys import work_directory
from cost_models.technologies import Technology, cells_verilog, liberty
from cost_models.technologies.function import truth_table


def _bench(technology: Technology) -> str:
    """Print every output of every combinational cell over all its input rows, then two edges of each flip-flop."""
    lines = ["module bench; reg [5:0] row; reg clk; reg data;"]
    prints = []
    flops = []
    for index, cell in enumerate(technology.cells.values()):
        pins = [f".{pin}(row[{bit}])" for bit, pin in enumerate(cell.inputs)]
        if cell.is_flip_flop:
            pins = [f".{cell.clock}(clk)", f".{cell.data}(data)"]
        for number, pin in enumerate(cell.outputs):
            pins.append(f".{pin}(w{index}_{number})")
            lines.append(f"wire w{index}_{number};")
            show = f'$display("{cell.name} {pin} %b", w{index}_{number});'
            if cell.is_flip_flop:
                flops.append(show)
            else:
                prints.append(f"for (row = 0; row < {1 << len(cell.inputs)}; row = row + 1) begin #1 {show} end")
        lines.append(f"{cell.name} u{index}({', '.join(pins)});")
    edges = [f"data = {value}; #1 clk = 1; #1 {' '.join(flops)} clk = 0; #1" for value in (1, 0)]
    return "\n".join([*lines, "initial begin clk = 0;", *prints, *(f"{edge};" for edge in edges), "end endmodule"])


def test_liberty_cells_verilog(technology: Technology, icarus: Callable[..., str]) -> None:
    seen: dict[tuple[str, str], list[str]] = {}
    for line in icarus(cells_verilog(technology), _bench(technology).replace("row < 64", "row < 63")).splitlines():
        name, pin, value = line.split()
        seen.setdefault((name, pin), []).append(value)
    compared = 0
    for cell in technology.cells.values():
        for pin, function in cell.outputs.items():
            if cell.is_flip_flop:
                table = truth_table(function, ("IQ",))
                expected = [str(table >> 1 & 1), str(table & 1)]
            else:
                table = truth_table(function, cell.inputs)
                expected = [str(table >> row & 1) for row in range(min(63, 1 << len(cell.inputs)))]
            assert seen[cell.name, pin] == expected
            compared += len(expected)
    assert compared >= 120


def test_liberty_yosys_reads(technology: Technology) -> None:
    unit = 1e-3
    area = technology.cells[technology.nand2].area_um2
    assert f"area : {area:.6g};" in liberty(technology)
    with work_directory({"cells.lib": liberty(technology, unit)}) as directory:
        directory.yosys("read_liberty -lib cells.lib\nwrite_json cells.json")
        text = directory.read("cells.json")
    for cell in technology.cells.values():
        assert f'"{cell.name}"' in text
    assert f"{area / unit:.6g}"[:5] in text
