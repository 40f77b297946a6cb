# SPDX-License-Identifier: Apache-2.0
"""Boolean functions in Liberty syntax."""

import pytest

from cost_models.technologies.function import liberty_expression, truth_table, verilog_expression


@pytest.mark.parametrize(
    ("function", "pins", "table"),
    [
        ("A", "A", 0b10),
        ("!A", "A", 0b01),
        ("A'", "A", 0b01),
        ("A*B", "AB", 0b1000),
        ("A & B", "AB", 0b1000),
        ("A B", "AB", 0b1000),
        ("A+B C", "ABC", 0b11101010),
        ("A (!B+C)", "ABC", 0b10100010),
        ("A' B'", "AB", 0b0001),
        ("A!B", "AB", 0b0010),
        ("A+B", "AB", 0b1110),
        ("A | B", "AB", 0b1110),
        ("A^B", "AB", 0b0110),
        ("!(A^B)", "AB", 0b1001),
        ("A+B*C", "ABC", 0b11101010),
        ("A*B^C", "ABC", 0b00101000),
        ("(A*B)'+C", "ABC", 0b11110111),
        ("1", "A", 0b11),
        ("0", "A", 0b00),
    ],
)
def test_function_truth_table(function: str, pins: str, table: int) -> None:
    assert truth_table(function, tuple(pins)) == table


def test_function_truth_table_of_six_pins() -> None:
    table = truth_table("!((A+B+C)*(D+E+F))", tuple("ABCDEF"))
    assert [table >> row & 1 for row in range(64)] == [int(not (row & 7 and row >> 3)) for row in range(64)]


@pytest.mark.parametrize(
    ("function", "plain"),
    [
        ("(!((A B) C))", "!((A*B)*C)"),
        ("(A1 & A2') | B", "(A1*!A2)+B"),
        ("A^B^CI", "(A^B)^CI"),
        ("(A B)+(C D)", "(A*B)+(C*D)"),
        ("!(!A)", "A"),
        ("!S A", "!S*A"),
    ],
)
def test_function_liberty_expression(function: str, plain: str) -> None:
    assert liberty_expression(function) == plain


def test_function_liberty_expression_renames() -> None:
    assert liberty_expression("DS0000", {"DS0000": "IQ", "P0000": "!IQ"}) == "IQ"
    assert liberty_expression("P0000", {"DS0000": "IQ", "P0000": "!IQ"}) == "!IQ"
    assert liberty_expression("(!P0000)", {"DS0000": "IQ", "P0000": "!IQ"}) == "IQ"


def test_function_verilog_expression() -> None:
    assert verilog_expression("!((A1*A2)+B)") == "~((A1 & A2) | B)"
    assert verilog_expression("A^B^CI") == "((A ^ B) ^ CI)"
    assert verilog_expression("A'*1") == "(~A & 1'b1)"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("A*", "wants a pin, not 'its end'"),
        ("A)", "has an unexpected '\\)'"),
        ("A+*B", "wants a pin, not '\\*'"),
        ("(A", "has an open parenthesis"),
        ("A # B", "has an unexpected character '#'"),
        ("A*C", "names 'C'; the input pins are A, B"),
        ("", "wants a pin, not 'its end'"),
    ],
)
def test_function_text_wrong(function: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^function .*{message}"):
        truth_table(function, ("A", "B"))


def test_function_pins_wrong() -> None:
    with pytest.raises(ValueError, match=r"^a function has at most 6 pins, not 7$"):
        truth_table("A", tuple("ABCDEFG"))
