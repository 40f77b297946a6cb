# SPDX-License-Identifier: Apache-2.0
"""Barrel shifters that keep what they shift out as one sticky bit, or drop it."""

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed, unsigned

__all__ = [
    "limited_amount",
    "shift_left_above",
    "shift_left_sticky",
    "shift_right_jam",
    "shift_right_split",
    "shift_right_truncate",
]


def limited_amount(m: Module, amount: Any, width: int, name: str) -> Any:
    """Return the amount of a shift in no more bits than `width` has; all ones where it is beyond them."""
    bits = width.bit_length()
    if len(amount) <= bits:
        return amount
    out = Signal(bits, name=name)
    m.d.comb += out.eq(amount[:bits] | amount[bits:].any().replicate(bits))
    return out


def shift_left_above(m: Module, value: Any, amount: Any, low: int, high: int, name: str) -> Any:
    """Shift a value left by at most `high`; the lowest `low` bits of the result are not made."""
    shape = value.shape()
    bits = len(value) + high - low
    out = Signal(signed(bits) if shape.signed else unsigned(bits), name=name)
    m.d.comb += out.eq((value << amount)[low : low + bits])
    return out


def shift_left_sticky(m: Module, value: Any, amount: Any, kept: int, name: str) -> tuple[Any, Any]:
    """Shift an unsigned value left within its width, and split it.

    Stages go from the largest shift to the smallest. After each, the bits that no later stage can bring to the kept
    ones are OR-ed at once, so that the later stages are narrow.

    Returns
    -------
    top : Value, `kept` bits
        The highest bits of the shifted value.
    sticky : Value, 1 bit
        Whether any other bit that was not shifted out at the top is set.
    """
    width = len(value)
    stage = Signal(width, name=f"{name}_in")
    m.d.comb += stage.eq(value)
    sticky: Any = Const(0, 1)
    for index in reversed(range(len(amount))):
        step = 1 << index
        moved = Cat(Const(0, min(step, len(stage))), stage[: max(len(stage) - step, 0)])
        wide = Signal(len(stage), name=f"{name}_{step}")
        m.d.comb += wide.eq(Mux(amount[index], moved, stage))
        needed = min(kept + step - 1, len(wide))
        sticky = sticky | wide[: len(wide) - needed].any()
        stage = wide[len(wide) - needed :]
    sticky = sticky | stage[: len(stage) - kept].any()
    return stage[len(stage) - kept :], sticky


def shift_right_jam(m: Module, value: Any, amount: Any, width: int, name: str) -> Any:
    """Shift a value right, into `width` bits below its binary point of which the last is OR-ed with all that is lost.

    The value stands at the top of the `width` bits. A signed one is shifted arithmetically: the result is the exact
    value, cut toward minus infinity, with its last bit set if anything was cut.

    Returns
    -------
    Value of `width` bits, and one more for the sign if value is signed
    """
    shape = value.shape()
    body = len(value) - shape.signed
    fill = value[-1] if shape.signed else Const(0, 1)
    stage: Any = value[:body]
    lost: Any = Const(0, 1)
    for index in range(len(amount)):
        step = 1 << index
        # Smallest shift first: the stage is no wider than what the shifts so far can have filled.
        grown = min(len(stage) + step, width)
        below = Cat(Const(0, grown - len(stage)), stage)
        above = Cat(below, fill.replicate(step))[step : step + grown]
        dropped = below[: min(step, grown)] if grown - len(stage) < step else Const(0, 0)
        if len(dropped):
            lost = lost | (amount[index] & dropped.any())
        wide = Signal(grown, name=f"{name}_{step}")
        m.d.comb += wide.eq(Mux(amount[index], above, below))
        stage = wide
    stage = Cat(Const(0, width - len(stage)), stage)
    result = Cat(stage[0] | lost, stage[1:])
    return Cat(result, fill).as_signed() if shape.signed else result


def shift_right_truncate(m: Module, value: Any, amount: Any, name: str) -> Any:
    """Shift an unsigned value right within its width; what is shifted out is dropped."""
    stage: Any = value
    for index in reversed(range(len(amount))):
        step = 1 << index
        wide = Signal(len(value), name=f"{name}_{step}")
        m.d.comb += wide.eq(Mux(amount[index], stage[step:], stage))
        stage = wide
    return stage


def shift_right_split(m: Module, value: Any, amount: Any, width: int, *, sticky: bool, name: str) -> Any:
    """Shift a value right from the top of a word of `width` bits, wider or narrower than it.

    With `sticky`, the last bit is OR-ed with all that does not fit the word; without, that is dropped. A signed value
    has its sign above the word, and is shifted arithmetically, with `sticky` only.

    Returns
    -------
    Value of `width` bits, and one more for the sign if value is signed
    """
    is_signed = value.shape().signed
    body = value[: len(value) - is_signed]
    excess = len(body) - width
    if excess > 0:
        # Only what shifts right can pass below the word: it may as well be cut first.
        body = Cat(body[: excess + 1].any(), body[excess + 1 :]) if sticky else body[excess:]
    elif excess < 0:
        body = Cat(Const(0, -excess), body)
    amount = limited_amount(m, amount, width, f"{name}_amount")
    if sticky:
        return shift_right_jam(m, Cat(body, value[-1]).as_signed() if is_signed else body, amount, width, name)
    return shift_right_truncate(m, body, amount, name)
