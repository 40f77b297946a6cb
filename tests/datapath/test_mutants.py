# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_STAGES = "hwsim/datapath/"
_MUTANTS = {
    "decode: hidden bit": ("decode.py", "else mantissa + (1 << spec.man_bits)", "else mantissa + (2 << spec.man_bits)"),
    "decode: subnormal exponent": (
        "decode.py",
        "lead = (1 if subnormal else field)",
        "lead = (0 if subnormal else field)",
    ),
    "decode: register's subnormal": ("decode.py", "max(field, 1) - bias", "max(field, 0) - bias"),
    "decode: register's NaN": (
        "decode.py",
        "return 0, 0, NAN if mantissa else",
        "return 0, 0, NAN if not mantissa else",
    ),
    "multiply: exponent": ("multiply.py", "a.exponent + b.exponent, a.lead", "a.exponent + b.exponent + 1, a.lead"),
    "multiply: lead": ("multiply.py", "a.lead + b.lead", "a.lead + b.lead + 1"),
    "multiply: infinity times zero": ("multiply.py", "or zero_a or zero_b", "or zero_a"),
    "multiply: sign of infinity": ("multiply.py", "if negative_a != negative_b", "if negative_a == negative_b"),
    "multiply: scale of infinity": ("multiply.py", "if scale < 0 and", "if scale > 0 and"),
    "align_add: fraction bits": (
        "align_add.py",
        "unit = largest - spec.fraction_bits",
        "unit = largest - spec.fraction_bits - 1",
    ),
    "align_add: floor": ("align_add.py", "max([spec.exp_floor,", "max([spec.exp_floor + 1,"),
    "align_add: zeros lift": ("align_add.py", "in addends if term.significand)", "in addends)"),
    "align_add: cut": (
        "align_add.py",
        "return -magnitude if negative else magnitude",
        "return -magnitude - 1 if negative else magnitude",
    ),
    "align_add: group's exponent": (
        "align_add.py",
        "total._replace(lead=scale.lead)",
        "total._replace(lead=scale.lead + 1)",
    ),
    "align_add: kernel's cut downward": (
        "align_add.py",
        "total += magnitude if product > 0 else -magnitude",
        "total += magnitude if product > 0 else -magnitude - 1",
    ),
    "align_add: reach": ("align_add.py", "register.lead < largest - spec", "register.lead <= largest - spec"),
    "align_add: sticky": ("align_add.py", "return kept | int((kept << shift) != magnitude)", "return kept"),
    "align_add: kernel's unit": (
        "align_add.py",
        "largest - plan.fraction_bits\n",
        "largest - plan.fraction_bits + 1\n",
    ),
    "align_add: kernel's register": ("align_add.py", "largest = max(largest, register_lead)", "largest += 0"),
    "wide: two limbs": ("wide.py", "high += product << (shift - 32)", "high += product << (shift - 31)"),
    "accumulate: largest value": ("accumulate.py", "min(max(value, -half), half - 1)", "min(max(value, -half), half)"),
    "accumulate: wrap": (
        "accumulate.py",
        "(value + half) % (2 * half) - half",
        "(value + half) % (2 * half) - half + 1",
    ),
    "accumulate: order of NaN": ("accumulate.py", "(entering[1], register[0],", "(register[0], entering[1],"),
    "accumulate: flush": ("accumulate.py", "if accumulator.flush and", "if not accumulator.flush and"),
    "steps: fused twice": ("steps.py", "if how.fused else add_two", "if not how.fused else add_two"),
    "steps: wrap": ("steps.py", "(value & (high - low)) ^", "(value & (high - low - 1)) ^"),
    "steps: point": ("steps.py", "(sig if how.fused else 0, exponent + how.register_man_bits)", "(sig, exponent)"),
    "steps: NaN register": (
        "steps.py",
        "special |= step_special(how, a, i, b, j, at)\n    if how.kind == CASCADED",
        "special = step_special(how, a, i, b, j, at)\n    if how.kind == CASCADED",
    ),
    "steps: negative zero": ("steps.py", "minus = step_minus(", "minus = 1 - step_minus("),
    "steps: pairs": ("steps.py", "while pairs & 1 == 0:", "while pairs & 1 == 1:"),
    "wide: lost bits": ("wide.py", "total |= int(lost != 0)", "total |= 0"),
    "wide: four parts": ("wide.py", "limbs, high_a * low_b, offset + _PART", "limbs, high_a * low_b, offset"),
    "fused: zeros": ("fused.py", "and not pack.signed_zero", "and pack.signed_zero"),
    "promotion: place": ("promotion.py", "-how.fraction_bits, sig", "how.fraction_bits, sig"),
    "round_pack: random word": ("round_pack.py", "exponent, random, pack.random_bits", "exponent, 0, pack.random_bits"),
    "round_pack: overflow": (
        "round_pack.py",
        "if code > spec.max_magnitude_code",
        "if code >= spec.max_magnitude_code",
    ),
    "round_pack: smallest normal": ("round_pack.py", "lowest = 1 - spec.bias", "lowest = -spec.bias"),
    "round_pack: kept bits": ("round_pack.py", "dropped = 0 if man_bits is None", "dropped = 1 if man_bits is None"),
    "round_pack: kernel's overflow": ("round_pack.py", "if code > pack.largest", "if code >= pack.largest"),
    "round_pack: kernel's NaN": ("round_pack.py", "if special == NAN:", "if special > NAN:"),
    "round_pack: kernel's limit": (
        "round_pack.py",
        "spec.exp_max + spec.sig_bits,",
        "spec.exp_max + spec.sig_bits - 1,",
    ),
    "stream: seen specials": ("stream.py", "seen |= special", "seen = special"),
    "hardware: fraction bits": (
        "hardware_nvidia.py",
        "fraction_bits=fraction_bits, exp_floor",
        "fraction_bits=fraction_bits + 1, exp_floor",
    ),
    "hardware: mantissa": ("hardware_nvidia.py", "result_man_bits=man_bits,", "result_man_bits=man_bits - 1,"),
    "hardware: NaN": (
        "hardware_nvidia.py",
        "result_man_bits=man_bits,\n        nan=NanResult.ALL_ONES",
        "result_man_bits=man_bits,\n        nan=NanResult.QUIET",
    ),
    "rounding: tie": ("../formats/rounding.py", "lost == half and kept & 1 == 1", "lost == half and kept & 1 == 0"),
    "rounding: kernel's tie": ("../formats/rounding.py", "(above | (tie & kept & 1))", "(above | tie)"),
}


@pytest.fixture(scope="module")
def caught(root: Path) -> dict[str, str]:
    changes = [[str(Path(os.path.normpath(_STAGES + file))), old, new] for file, old, new in _MUTANTS.values()]
    changes.append([_STAGES + "alignment.py", "cut, as tensor cores do.", "cut, as tensor cores do!"])  # no change
    finished = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("mutation.py"))],
        input=json.dumps(changes),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=root,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(root)},
    )
    assert finished.returncode == 0, finished.stderr
    return dict(zip([*_MUTANTS, "none"], json.loads(finished.stdout), strict=True))


@pytest.mark.parametrize("mutant", _MUTANTS)
def test_mutants_are_caught(mutant: str, caught: dict[str, str]) -> None:
    assert caught[mutant]


def test_mutants_the_model_itself_is_not(caught: dict[str, str]) -> None:
    assert caught["none"] == ""
