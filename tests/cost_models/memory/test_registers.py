# SPDX-License-Identifier: Apache-2.0
"""Registers and register files: by hand from the cells' facts, and by enumerating every read of a small one."""

from itertools import product

import pytest

from cost_models.memory import published_register_file, register, register_file, register_file_names
from cost_models.technologies import Technology, read


def _asap7() -> Technology:
    found = read("asap7")
    assert isinstance(found, Technology)
    return found


def test_registers_flip_flop_by_hand() -> None:
    # cells_asap7.csv: DFFHQNx1: clock 0.2637 fJ an edge, CLK 0.475 fF, D 0.559 fF, 0.5456 fJ a transition; 0.70 V
    found = register(_asap7())
    assert 1e3 * found.clock_pj_per_cycle == pytest.approx(2 * (0.2637 + 0.475 * 0.49 / 2))
    assert 1e3 * found.data_pj_per_toggle == pytest.approx(0.5456 + 0.559 * 0.49 / 2)
    assert found.area_um2 == 0.2916
    assert found.leakage_uw == pytest.approx(0.2297e-3)
    assert found.energy_pj(10, 4) == pytest.approx(10 * found.clock_pj_per_cycle + 2 * found.data_pj_per_toggle)


def _toggles(words: int) -> list[float]:
    """Enumerate reads: toggles of each level of the tree, word gates first, for one bit."""
    levels = words.bit_length()
    total = [0] * levels
    for data in product((0, 1), repeat=words):
        for before, after in product(range(words), repeat=2):
            old = [bit & (index == before) for index, bit in enumerate(data)]
            new = [bit & (index == after) for index, bit in enumerate(data)]
            for level in range(levels):
                total[level] += sum(x != y for x, y in zip(old, new, strict=True))
                old = [x | y for x, y in zip(old[::2], old[1::2], strict=False)]
                new = [x | y for x, y in zip(new[::2], new[1::2], strict=False)]
    return [count / (2**words * words**2) for count in total]


@pytest.mark.parametrize("words", [2, 4, 8])
def test_registers_file_reads_enumerated(words: int) -> None:
    technology = _asap7()
    nand = technology.cells[technology.nand2]  # 0.0553 fJ; 0.496 and 0.524 fF
    pin_fj = 0.524 * 0.49 / 2
    cells = [1, 1, *[2] * 8]
    energy = sum(count * rate for count, rate in zip(cells, _toggles(words), strict=False)) * (0.0553 + pin_fj)
    energy += (1 - 1 / words) * 2 * pin_fj  # the two word lines
    found = register_file(technology, words, 8)
    assert 1e3 * found.read_pj_per_bit == pytest.approx(energy)
    gates = sum(count * (words >> level) for level, count in zip(range(words.bit_length()), cells, strict=False))
    assert found.area_um2 == pytest.approx(8 * (words * 0.2916 + gates * nand.area_um2))
    write = 2 * (0.2637 + 0.475 * 0.49 / 2) + (0.5456 + pin_fj) / 2 + words * 0.559 * 0.49 / 4
    assert 1e3 * found.write_pj_per_bit == pytest.approx(write)
    assert (found.capacity_bytes, found.width_bits) == (words, 8)


def test_registers_published() -> None:
    # Aladdin: 0.009 pJ and 5.98 um2 a bit; ZigZag: 0.095 pJ for 8 bits, 0.021 pJ for 16
    aladdin = published_register_file("aladdin40")
    assert aladdin.read_pj_per_bit == 0.009
    assert aladdin.area_um2 == pytest.approx(32 * 5.98)
    assert 8 * published_register_file("zigzag_128b").read_pj_per_bit == pytest.approx(0.095)
    assert 16 * published_register_file("zigzag_2b").write_pj_per_bit == pytest.approx(0.021)
    assert all(published_register_file(name).source for name in register_file_names())


def test_registers_sanity_band() -> None:
    for name in ("asap7", "nangate45"):
        technology = read(name)
        assert isinstance(technology, Technology)
        file = register_file(technology, 16, 8)
        # within a factor of ten of what others have at 28 to 45 nm, lower at 7 nm
        assert 0.0005 < file.read_pj_per_bit < 0.1
        assert 0.0005 < file.write_pj_per_bit < 0.1


def test_registers_published_wrong() -> None:
    with pytest.raises(LookupError, match=r"^register file 'aladdin' is unknown; close matches: aladdin40$"):
        published_register_file("aladdin")


@pytest.mark.parametrize(
    ("words", "width", "message"),
    [
        (3, 8, r"^words must be a power of two in 2..1024, not 3$"),
        (2048, 8, r"^words must be a power of two in 2..1024, not 2048$"),
        (4, 0, r"^width_bits must be in 1..1024, not 0$"),
    ],
)
def test_registers_file_wrong(words: int, width: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        register_file(_asap7(), words, width)
