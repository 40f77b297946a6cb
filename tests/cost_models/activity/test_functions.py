# SPDX-License-Identifier: Apache-2.0
"""Gates as steps of the kernel's functions, against their truth tables."""

import itertools
import random

from cost_models.activity.functions import FUNCTIONS, cofactor, steps, swapped
from cost_models.technologies import Technology, names, read
from cost_models.technologies.function import truth_table


def _rebuilt(pins: int, table: int) -> int:
    """Run the steps row by row."""
    rebuilt = 0
    for row in range(1 << pins):
        values: list[bool] = []
        for step in steps(pins, table):
            operands = [
                (bool(row >> pin & 1) if pin >= 0 else values[-pin - 1]) ^ bool(step.phases >> place & 1)
                for place, pin in enumerate(step.pins)
            ]
            assert len(operands) == FUNCTIONS[step.code][0] <= 4
            values.append(FUNCTIONS[step.code][1](*operands) ^ step.inverted)
        rebuilt |= values[-1] << row
    return rebuilt


def _depends(pins: int, table: int) -> bool:
    return all(cofactor(table, pins, pin, 0) != cofactor(table, pins, pin, 1) for pin in range(pins))


def test_functions_all_tables_of_three_pins() -> None:
    compared = 0
    for pins in (1, 2, 3):
        for table in range(1 << (1 << pins)):
            if _depends(pins, table):
                assert _rebuilt(pins, table) == table
                compared += 1
    assert compared == 2 + 10 + 218  # functions of n variables that depend on all, OEIS A000371


def test_functions_random_tables() -> None:
    generator = random.Random(3)
    compared = 0
    for pins, _ in itertools.product((4, 5, 6), range(60)):
        table = generator.getrandbits(1 << pins)
        if _depends(pins, table):
            assert _rebuilt(pins, table) == table
            compared += 1
    assert compared > 150


def test_functions_of_cells() -> None:
    """No cell needs more than five steps, and all but a few need one or two."""
    lengths = []
    for name in names():
        technology = read(name)
        if isinstance(technology, Technology):
            for cell in technology.cells.values():
                for function in () if cell.is_flip_flop else cell.outputs.values():
                    table = truth_table(function, cell.inputs)
                    assert _rebuilt(len(cell.inputs), table) == table
                    lengths.append(len(steps(len(cell.inputs), table)))
    assert len(lengths) > 100
    assert max(lengths) <= 5
    assert sum(length <= 2 for length in lengths) > 0.95 * len(lengths)


def test_functions_cofactor_and_swapped() -> None:
    select = truth_table("A*!S + B*S", ("A", "B", "S"))
    assert cofactor(select, 3, 2, 0) == truth_table("A", ("A", "B"))
    assert cofactor(select, 3, 2, 1) == truth_table("B", ("A", "B"))
    assert cofactor(select, 3, 0, 1) == truth_table("!S + B", ("B", "S"))
    assert swapped(select, 2) == truth_table("A*S + B*!S", ("A", "B", "S"))
