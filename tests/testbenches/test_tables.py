# SPDX-License-Identifier: Apache-2.0
import re

import numpy as np
import pytest

from testbenches.runner import VerificationError
from testbenches.tables import Column, Table, compare

_MODULES = """
module add(input [7:0] a, input [7:0] b, output [8:0] sum, output any);
  assign sum = a + b;
  assign any = |{a, b};
endmodule
module sub(input [7:0] a, input [7:0] b, output [8:0] sum, output any);
  assign sum = a - b;
  assign any = a != b;
endmodule
"""


def _table(*modules: str, care: bool = True) -> Table:
    generator = np.random.default_rng(1)
    a, b = generator.integers(0, 256, (2, 1000))
    outputs = {}
    for module in modules:
        total = (a + b) if module == "add" else (a - b)
        any_set = (a | b) != 0 if module == "add" else a != b
        where = None if care else a > b
        outputs[module] = {
            "sum": Column(bits=9, values=total, care=where),
            "any": Column(bits=1, values=any_set),
        }
    return Table(inputs={"a": Column(bits=8, values=a), "b": Column(bits=8, values=b)}, outputs=outputs)


def test_tables_counts(simulator: str) -> None:
    report = compare([_table("add", "sub"), _table("sub", care=False)], [_MODULES], simulator=simulator)
    assert (report.modules, report.compared, report.simulator) == (3, 3000, simulator)


def test_tables_difference(simulator: str) -> None:
    table = _table("add", "sub")
    table.outputs["sub"]["sum"].values[7] ^= 4
    a, b = (int(table.inputs[port].values[7]) for port in "ab")
    message = (
        f"sub differs in 1 of 1000 rows, first in row 7: of a {a:#x}, b {b:#x} sum is {(a - b) & 511:#x}, expected "
    )
    with pytest.raises(VerificationError, match=f"^{re.escape(message)}"):
        compare([table], [_MODULES], simulator=simulator)


def test_tables_of_no_meaning(icarus: str) -> None:
    table = _table("add", care=False)
    care = table.outputs["add"]["sum"].care
    assert care is not None
    table.outputs["add"]["sum"].values[~care] = 0
    assert compare([table], [_MODULES], simulator=icarus).compared == 1000


def test_tables_unknown_output(icarus: str) -> None:
    text = _MODULES.replace("assign any = a != b;", "")
    with pytest.raises(VerificationError, match=r"^sub differs in 1000 of 1000 rows, .* any is z, expected "):
        compare([_table("sub")], [text], simulator=icarus)


def test_tables_module_missing(icarus: str) -> None:
    with pytest.raises(VerificationError, match=r"^iverilog fails with status"):
        compare([_table("add")], [_MODULES.replace("module add", "module other")], simulator=icarus)
