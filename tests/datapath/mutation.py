# SPDX-License-Identifier: Apache-2.0
"""Import the model with one change to its source, compare it with the vectors, and tell whether a difference shows.

Run by `test_mutants.py` with NUMBA_DISABLE_JIT set, so that a kernel is what its source says: reads a JSON list of
[file, old text, new text] and writes one of the first differences, "" where there is none.
"""

import dataclasses
import importlib
import importlib.util
import json
import random
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

_UNITS = (
    *("int8_l2_int16", "int8_l3_int16_sat", "uint8_by_int4_int12_sat", "float8_e4m3fn_l2", "float8_e5m2_fixed63_sat"),
    *("float8_e4m3fn_float16", "float8_e5m2_float32", "float16_float32", "float8_e4m3fn_l4_bfloat16"),
    *("mxfp8_e5m2_l4", "nvfp4_l4", "nvfp4_by_mxfp4_b16_l2", "mxfp8_e5m2_by_nvint4_l2", "float8_e5m2_l3_float32"),
    *("int8_l2_to_int8", "int8_to_float16", "float8_e4m3fn_float32_to_float8_e4m3fn"),
)


class _Mutated(SourceFileLoader):
    """Load a module from its source with one text replaced."""

    def __init__(self, name: str, path: str, change: tuple[str, str] | None) -> None:
        super().__init__(name, path)
        self._change = change

    def get_code(self, fullname: str) -> CodeType | None:
        """Compile without any cached bytecode."""
        source = Path(self.path).read_text()
        if self._change is not None:
            old, new = self._change
            if source.count(old) != 1:
                raise ValueError(
                    f"{self.path} must hold the text to be changed once, not {source.count(old)} times: {old}"
                )
            source = source.replace(old, new)
        return compile(source, self.path, "exec")


class _Finder(MetaPathFinder):
    """Find modules of hwsim, and change one of them."""

    def __init__(self, file: str, old: str, new: str) -> None:
        self._path, self._change = str(ROOT / file), (old, new)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec with the changing loader."""
        if fullname.split(".", maxsplit=1)[0] != "hwsim":
            return None
        spec = PathFinder.find_spec(fullname, path or [str(ROOT)], target)
        if spec is not None and spec.origin is not None:
            change = self._change if spec.origin == self._path else None
            spec.loader = _Mutated(fullname, spec.origin, change)
        return spec


def _difference(test: Any, datapath: Any) -> str:
    """Return the first difference between the model and the vectors, or between kernel and oracle."""
    with np.load(HERE / "hopper_h200.npz") as file:
        data = {key: file[key] for key in file.files}
    for key in [key for key in data if key.endswith("_d")]:
        stem = key.removesuffix("_d")
        instruction = stem.removesuffix("_chain")
        parts = instruction.split("_")
        catalogued = f"hopper_{'_'.join(parts[3:])}_float32"
        known = parts[2] == "f32" and catalogued in datapath.names()
        unit = datapath.named(catalogued) if known else test._hopper_unit(instruction)
        mask = (1 << unit.element_a.bits) - 1, (1 << unit.element_b.bits) - 1
        a, b = data[f"{stem}_a"] & mask[0], data[f"{stem}_b"] & mask[1]
        steps = a.shape[1] // unit.lanes
        rows = a.reshape(-1, unit.lanes), b.reshape(-1, unit.lanes)
        step = np.tile(np.arange(steps), len(a))
        c = np.repeat(data[f"{stem}_c"], steps)
        found = datapath.dot(unit, *rows, step == 0, step == steps - 1, c)
        if not np.array_equal(found, data[key]):
            return f"kernel and {stem}"
        stream = test.Stream(*rows, step == 0, step == steps - 1, c, None)
        if test._compare(unit, stream) != len(found):
            return f"oracle and {stem}"
    return _inner_difference(test, datapath)


def _rare_units(test: Any, datapath: Any, source: random.Random) -> list[Any]:
    """Return units with what a random one seldom has."""
    narrow = datapath.named("float8_e5m2_float32")
    register = dataclasses.replace(narrow.accumulator, format=narrow.a, result_man_bits=2)
    own = dataclasses.replace(narrow, accumulator=register, output=narrow.a)
    operand = dataclasses.replace(own, accumulator=dataclasses.replace(register, nan=datapath.NanResult.OPERAND))
    signed = dataclasses.replace(own, accumulator=dataclasses.replace(register, signed_zero=True))
    cascaded = datapath.CascadedAlignment(
        fraction_bits=8, sum_fraction_bits=12, register_fraction_bits=9, register_reach=3
    )
    up = dataclasses.replace(narrow.accumulator, rounding=test.Rounding.UP)
    fixed = datapath.FixedAccumulator(bits=32, fraction_bits=3, overflow=test.Overflow.WRAP)
    promotion = datapath.Promotion(length=2, accumulator=up)
    floor = datapath.TruncatedAlignment(fraction_bits=14, exp_floor=20)
    return [
        *(operand, signed, dataclasses.replace(own, lanes=4, alignment=cascaded)),
        dataclasses.replace(datapath.named("float32_float32"), accumulator=up),
        dataclasses.replace(datapath.named("int8"), accumulator=fixed, promotion=promotion, output=up.format),
        dataclasses.replace(datapath.named("hopper_e5m2_e5m2_float32"), alignment=floor),
        dataclasses.replace(datapath.named("bfloat16_l2_float32"), accumulator=up),
        dataclasses.replace(datapath.named("float64_float64"), lanes=2),
        *(test._random_fused(source) for _ in range(6)),
    ]


def _inner_difference(test: Any, datapath: Any) -> str:
    """Compare kernel and oracle on random streams, and exact products with Python's."""
    source = random.Random(1)
    hopper = datapath.named("hopper_e5m2_e5m2_float32")
    low = dataclasses.replace(hopper, alignment=datapath.TruncatedAlignment(fraction_bits=4, exp_floor=6))
    units = [datapath.named(name) for name in _UNITS] + [low]
    units += _rare_units(test, datapath, source)
    for unit, streams in [(unit, 8) for unit in units] + [(test._random_unit(source), 1) for _ in range(160)]:
        try:
            datapath.plan.plan(unit)
        except ValueError:
            continue
        for _ in range(streams):
            test._compare(unit, test._random_stream(source, unit, 12))
    rules = [(unit, unit.accumulator) for unit in units if isinstance(unit.accumulator, datapath.FloatAccumulator)]
    for unit in [unit for unit, rule in rules if rule.signed_zero or rule.nan is datapath.NanResult.OPERAND]:
        one, sign, nan = int(unit.element_a.encode(1.0)), 1 << (unit.element_a.bits - 1), unit.element_a.nan_code
        few = np.array([0, sign, one, one | sign, nan, nan | sign, nan - 1], np.uint64)
        a, b, c = (side.reshape(-1, 1) for side in np.meshgrid(few, few, few))
        marks = np.ones(len(a), np.bool_)
        test._compare(unit, test.Stream(a, b, marks, marks, c[:, 0], None))
    corners = np.array([0x00, 0x80, 0x01, 0x3C, 0xBC, 0x7B, 0x7C, 0xFC, 0x7F])
    a, b = (side.reshape(-1, 1) for side in np.meshgrid(corners, corners))
    marks = np.ones(len(a), np.bool_)
    test._compare(datapath.named("float8_e5m2_float32"), test.Stream(a, b, marks, marks, np.zeros(len(a), int), None))
    a, b, marks = (
        np.array([[0x7C, 0x3C]] * 3),
        np.ones((3, 2), int),
        np.ones(3, np.bool_),
    )  # infinity, scaled by 1, -1, 0
    scales = np.array([[127, 0x38], [127, 0xB8], [127, 0x00]])
    unit = datapath.named("mxfp8_e5m2_by_nvint4_l2")
    test._compare(unit, test.Stream(a, b, marks, marks, np.zeros(3, int), scales))
    register = datapath.FixedAccumulator(bits=63, fraction_bits=0, overflow=test.Overflow.WRAP)
    spec = test.IntegerSpec(bits=27)
    unit = datapath.DotProductUnit(
        a=spec, b=spec, lanes=1, alignment=datapath.ExactAlignment(), accumulator=register, output=register.format
    )
    largest = (1 << 26) - 1
    found = datapath.matmul(unit, np.full((1, 5), largest), np.full((5, 1), largest))
    return "" if int(found[0, 0]) == 5 * largest**2 else "an exact sum beyond 2**53"


def _caught(change: tuple[str, str, str]) -> str:
    for name in [name for name in sys.modules if name.split(".")[0] == "hwsim"]:
        del sys.modules[name]
    sys.modules["hwsim"] = ModuleType("hwsim")  # the package without the rooms above
    sys.modules["hwsim"].__path__ = [str(ROOT / "hwsim")]
    finder = _Finder(*change)
    sys.meta_path.insert(0, finder)
    try:
        datapath = importlib.import_module("hwsim.datapath")
        importlib.import_module("hwsim.datapath.plan")
        spec = importlib.util.spec_from_file_location("vectors", HERE / "conftest.py")
        assert spec is not None
        assert spec.loader is not None
        test = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(test)
        return _difference(test, datapath)
    except AssertionError as error:
        return f"assertion: {str(error)[:80]}"
    except (ArithmeticError, IndexError, ValueError) as error:
        if "must hold the text" in str(error):
            raise
        return repr(error)[:80]
    finally:
        sys.meta_path.remove(finder)


def main() -> None:
    """Judge the changes on the standard input."""
    changes = json.load(sys.stdin)
    with np.errstate(all="ignore"):
        json.dump([_caught(tuple(change)) for change in changes], sys.stdout)


if __name__ == "__main__":
    main()
