# SPDX-License-Identifier: Apache-2.0
"""The density of a format's values as bars of text."""

from collections.abc import Sequence

from hwsim.report.formats.facts import Binade

__all__ = [
    "bars",
    "ticks",
]

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_ROWS = 12
_WIDEST = 4  # characters for a binade


def bars(binades: Sequence[Binade], width: int = 96) -> list[str]:
    """Return lines of text: a column a binade (or as many as fit one), as high as its values have significant bits.

    Parameters
    ----------
    binades : sequence of Binade
        In the order of their exponents, one at least.
    width : int
        Columns of text for the bars.

    Returns
    -------
    list of str
        The bars, their axis and its labels, which are powers of two.
    """
    heights = {binade.exponent: binade.significant_bits for binade in binades}
    first, last = binades[0].exponent, binades[-1].exponent
    count = last - first + 1
    joined = -(-count // width)
    columns = -(-count // joined)
    wide = max(1, min(_WIDEST, width // columns))
    column_heights = [
        max(heights.get(first + column * joined + i, 0.0) for i in range(joined)) for column in range(columns)
    ]
    top = max(column_heights)
    unit = -(-int(-(-top // 1)) // _ROWS)  # significant bits a row
    lines = []
    for row in range(-(-int(-(-top // 1)) // unit), 0, -1):
        label = f"{row * unit:3d} ┤"
        cells = (_EIGHTHS[round(8 * min(max(height / unit - row + 1, 0.0), 1.0))] for height in column_heights)
        lines.append((label + "".join(cell * wide for cell in cells)).rstrip())
    axis, labels = ["─"] * (columns * wide), [" "] * (columns * wide + 12)
    for exponent in ticks(first, last, max(2, columns * wide // 9)):
        place = (exponent - first) // joined * wide
        axis[place] = "┴"
        text = f"2^{exponent}"
        labels[place : place + len(text)] = text
    return [*lines, f"    └{''.join(axis)}", f"     {''.join(labels)}".rstrip()]


def ticks(first: int, last: int, most: int) -> list[int]:
    """Return at most about `most` exponents in [first, last] to label, the multiples of a round step."""
    steps = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    step = next(step for step in steps if (last - first) // step < most or step == steps[-1])
    return [exponent for exponent in range(first, last + 1) if exponent % step == 0]
