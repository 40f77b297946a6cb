# SPDX-License-Identifier: Apache-2.0
"""`hwsim units`, through the command line."""

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.cli import main
from hwsim.datapath import hardware, matmul, named

HOPPER = "hopper_wgmma_m64n8k32_f32_e4m3_e4m3"
SLOW = "cublas_hopper_e4m3_slow_float32"
CHAIN = "float8_e4m3fn_l32_float32"


def _run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(("units", *map(str, arguments)))
    captured = capsys.readouterr()
    assert isinstance(caught.value.code, int)
    return caught.value.code, captured.out, captured.err


def _json(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    status, out, err = _run(capsys, *arguments, "--json")
    assert (status, err) == (0, "")
    return dict(json.loads(out))


def _wrong(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    status, out, err = _run(capsys, *arguments)
    assert (status, out) == (2, ""), err
    assert len(err.splitlines()) == 1, err
    assert err.startswith("hwsim: error: ")
    return err.removeprefix("hwsim: error: ").rstrip()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Write two matrices as codes, as values, and what two units make of them."""
    rng = np.random.default_rng(8)
    spec = named(CHAIN).element_a
    a, b = (spec.encode(rng.normal(size=shape)) for shape in ((6, 160), (160, 5)))
    made = {
        "a": a,
        "b": b,
        "a_values": spec.decode(a).astype(np.float32),
        "b_values": spec.decode(b).astype(np.float32),
        "slow": matmul(hardware.entry(SLOW).unit, a, b),
        "chain": matmul(named(CHAIN), a, b),
    }
    made["slow_values"] = made["slow"].view(np.float32)
    for name, array in made.items():
        np.save(tmp_path / f"{name}.npy", array)
    return {name: tmp_path / f"{name}.npy" for name in made}


def test_cli_units_list(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = _run(capsys)
    assert (status, err) == (0, "")
    assert "FORMAT[_by_FORMAT][_lLANES][_ACCUMULATOR[_sat]][_to_FORMAT]" in out
    assert all(len(line) <= 130 for line in out.splitlines())
    rows = _json(capsys)["units"]
    assert [row["name"] for row in rows] == [entry.name for entry in hardware.entries()]
    assert all(entry.architecture in out for entry in hardware.entries())
    by_name = {row["name"]: row for row in rows}
    assert by_name[HOPPER]["alignment"] == "cut at 13 bits"
    assert by_name[HOPPER]["evidence"] == "measured"


def test_cli_units_list_of_an_architecture(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "--architecture", "sm_90")
    assert status == 0
    names = [entry.name for entry in hardware.entries() if "sm_90" in entry.architecture]
    assert len(names) > 50
    assert all(name in out for name in names)
    assert "volta" not in out
    vendors = {row["vendor"] for row in _json(capsys, "--architecture", "amd")["units"]}
    assert vendors == {"AMD"}
    for said in ("reproduced", "Reproduced", "reproduced on others' vectors"):
        kinds = {row["evidence"] for row in _json(capsys, "--evidence", said)["units"]}
        assert kinds == {"reproduced"}
    assert "1 unit  " in _run(capsys, "--architecture", "sm_80)")[1]


def test_cli_units_list_is_quick() -> None:
    command = [sys.executable, "-c", "from hwsim.cli import main; main(['units'])"]
    subprocess.run(command, capture_output=True, check=True, timeout=300)  # compiles what a fresh checkout has not yet
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 2, f"{spent:.1f} s of processor time, where it takes 0.9 s"


def test_cli_units_list_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from hwsim.cli import main\n"
        "try:\n    main(['units'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'onnx', 'matplotlib', 'amaranth', 'torch', 'hwsim.datapath.paths.staged', 'hwsim.network'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")


def test_cli_units_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, out, err = _run(capsys, HOPPER, "--depth", "4096", "--diagram", tmp_path / "unit.svg")
    assert (status, err) == (0, "")
    assert all(len(line) <= 130 for line in out.splitlines() if "fastest" not in line and "svg" not in line)
    for said in ("wgmma.mma_async", "each cut toward zero at 2^(e - 13)", "13 of 23 mantissa bits kept", "0x7fffffff"):
        assert said in out
    assert "fastest exact path for K = 4096: " in out
    text = (tmp_path / "unit.svg").read_text()
    assert all(stage in text for stage in ("decode", "multiply", "align_add", "accumulate", "round_pack"))
    found = _json(capsys, HOPPER)
    widths = found["widths"]
    assert widths["product_bits"] == 8  # 15 * 15
    assert widths["product_exponents"] == [-18, 10]
    assert widths["alignment"] == {
        "kind": "truncated",
        "fraction_bits": 13,
        "exponent_floor": -133,
        "headroom_bits": 7,  # 32 * 1.875**2 + 2 = 114.5
        "with_register": True,
        "rounding": "toward_zero",
        "group": 1,
    }
    assert widths["register"] == {
        "name": "float32_toward_zero_m13_ones",
        "bits": 32,
        "mantissa_bits": 13,
        "exponent_bits": 8,
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("int8_l16", "wraps around"),
        ("mxfp4", "float8_e8m0fnu"),
        ("posit8_1_float32", "regime"),
        ("int4_by_int8_l8_int16_sat", "stops at the largest value"),
        (SLOW, "every 128 products"),
        ("posit16_1_l4_fixed128", "128 bits, two's complement"),
        ("cdna3_v_mfma_f32_16x16x32_fp8_fp8", "even and of odd lanes"),
        ("cdna2_v_mfma_f32_32x32x8f16", "subnormal operands count as zero"),
    ],
)
def test_cli_units_one_of_each_kind(capsys: pytest.CaptureFixture[str], name: str, said: str) -> None:
    status, out, err = _run(capsys, name)
    assert (status, err) == (0, "")
    assert said in out
    assert [stage["name"] for stage in _json(capsys, name)["stages"]][:4] == [
        "decode",
        "multiply",
        "align_add",
        "accumulate",
    ]


def test_cli_units_run(capsys: pytest.CaptureFixture[str], files: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "d.npy"
    status, out, _ = _run(capsys, SLOW, "--a", files["a"], "--b", files["b"], "-o", output)
    assert status == 0
    assert "6 x 160 by 160 x 5: 30 outputs" in out
    assert np.array_equal(np.load(output), np.load(files["slow"]))
    found = _json(capsys, SLOW, "--a", files["a_values"], "--b", files["b_values"], "-o", output, "--values")
    assert found["notes"][0].endswith(
        "values rounded to float8_e4m3fn without a scale (to nearest, ties to even, saturating): all exact"
    )
    assert np.load(output).dtype == np.float32
    assert np.array_equal(np.load(output), np.load(files["slow_values"]))


def test_cli_units_run_blocks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    values = {"a": rng.normal(size=(4, 70)), "b": rng.normal(size=(70, 3))}
    unit = named("mxfp4")
    made = {"a": formats.quantize(values["a"], "mxfp4", 1), "b": formats.quantize(values["b"], "mxfp4", 0)}
    options: list[str | Path] = []
    for name in ("a", "b"):
        np.save(tmp_path / f"{name}.npy", values[name])
        np.save(tmp_path / f"{name}_codes.npy", made[name].codes)
        np.save(tmp_path / f"{name}_scales.npy", made[name].scales)
        options += [f"--{name}", tmp_path / f"{name}_codes.npy", f"--{name}-scales", tmp_path / f"{name}_scales.npy"]
    expected = matmul(unit, made["a"], made["b"])
    for given in (["--a", tmp_path / "a.npy", "--b", tmp_path / "b.npy"], options):
        found = _json(capsys, "mxfp4", *given, "-o", tmp_path / "d.npy")
        assert found["shape"] == [4, 70, 3]
        assert np.array_equal(np.load(tmp_path / "d.npy"), expected)
    assert "need --a-scales" in _wrong(capsys, "mxfp4", *options[:2], *options[4:])
    np.save(tmp_path / "a_scales.npy", made["a"].scales[:, :2])
    assert "must be unsigned codes of the shape (4, 3)" in _wrong(capsys, "mxfp4", *options)


def test_cli_units_run_integers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rng = np.random.default_rng(10)
    a, b = rng.integers(-128, 128, (3, 9), np.int8), rng.integers(-128, 128, (9, 3), np.int8)
    c = rng.integers(-(2**31), 2**31, (3, 3), np.int32)
    for name, array in (("a", a), ("b", b), ("c", c)):
        np.save(tmp_path / f"{name}.npy", array)
    options = [part for name in "abc" for part in (f"--{name}", tmp_path / f"{name}.npy")]
    _json(capsys, "int8_l4", *options, "-o", tmp_path / "d.npy")
    expected = (c.astype(np.int64) + a.astype(np.int64) @ b.astype(np.int64)).astype(np.int32)
    assert np.array_equal(np.load(tmp_path / "d.npy").view(np.int32), expected)
    np.save(tmp_path / "expected.npy", expected)
    assert _json(capsys, "int8_l4", *options, "--against", tmp_path / "expected.npy")["differ"] == 0


def test_cli_units_compare(capsys: pytest.CaptureFixture[str], files: dict[str, Path]) -> None:
    status, out, _ = _run(capsys, SLOW, CHAIN, "--a", files["a"], "--b", files["b"])
    assert status == 0
    assert all(len(line) <= 130 for line in out.splitlines() if ".npy" not in line)
    found = _json(capsys, SLOW, CHAIN, "--a", files["a"], "--b", files["b"])
    first, second = np.load(files["slow"]), np.load(files["chain"])
    wrong = np.argwhere(first != second)
    assert found["differ"] == len(wrong) > 20
    assert f"{len(wrong)} of 30 outputs" in out
    assert found["places"][0] == found["trace"]["place"] == wrong[0].tolist()
    ulps = np.abs(first.astype(np.int64) - second.astype(np.int64))  # of the same sign, or they would be far apart
    assert sum(number for _, _, number in found["histogram"]) == len(wrong)
    row, column = found["largest_ulps"][1]
    assert found["largest_ulps"][0] == ulps[row, column]
    traces = found["trace"]["traces"]
    assert [trace["output"] for trace in traces] == [first[tuple(wrong[0])], second[tuple(wrong[0])]]
    assert found["trace"]["stage"] == "align_add"
    assert f"they part in step {found['trace']['steps'][0][0]}, stage align_add" in out


def test_cli_units_compare_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    for distribution in ("normal", "wide", "all"):
        found = _json(capsys, HOPPER, CHAIN, "--random", "5x96x4", "--distribution", distribution, "--seed", "3")
        assert found["outputs"] == 20
        assert found["notes"] == [f"5 x 96 by 96 x 4, drawn: {distribution}, seed 3"]
    same = _json(capsys, HOPPER, HOPPER, "--random", "5x96x4", "--distribution", "all")
    assert (same["differ"], same["zero_signs"], same["nan_codes"]) == (0, 0, 0)


@pytest.mark.parametrize("name", ["float4_e2m1fn_l8_float32", "nvfp4", "int4_l4", "nf4_float32", "posit8_1"])
def test_cli_units_drawn_of_each_family(capsys: pytest.CaptureFixture[str], name: str) -> None:
    for distribution in ("normal", "wide", "all"):
        options = name, "--random", "2x20x2", "--distribution", distribution, "--trace", "1,1"
        found = _json(capsys, *options)
        trace = found["trace"]["traces"][0]
        assert trace["steps"][-1]["output"] == trace["output"]
        out = _run(capsys, *options)[1]
        assert all(len(line) <= 130 for line in out.splitlines())


def test_cli_units_compare_formats(capsys: pytest.CaptureFixture[str]) -> None:
    found = _json(capsys, "float16_l16_float32", "mxfp4", "--random", "3x64x3")
    assert found["trace"]["stage"] == "decode"
    assert any("values quantized to mxfp4" in note for note in found["notes"])
    halves = _json(capsys, "float16_l16_float32", "float16_l16_float32_to_float16", "--random", "3x64x3")
    assert halves["format"] == "float16"
    assert {low for low, _, _ in halves["histogram"]} == {0}
    assert halves["trace"]["stage"] == "round_pack"


def test_cli_units_trace(capsys: pytest.CaptureFixture[str], files: dict[str, Path]) -> None:
    status, out, _ = _run(capsys, SLOW, "--a", files["a"], "--b", files["b"], "--trace", "2,3")
    assert status == 0
    assert [f"step {step}: k = {32 * step}..{32 * step + 31}" in out for step in range(5)] == [True] * 5
    assert out.count("promoted -> ") == 2  # after 128, and at the end
    trace = _json(capsys, SLOW, "--a", files["a"], "--b", files["b"], "--trace", "2,3")["trace"]["traces"][0]
    assert trace["output"] == np.load(files["slow"])[2, 3]
    lanes = [lane for step in trace["steps"] for lane in step["lanes"]]
    assert [lane["a"]["code"] for lane in lanes] == np.load(files["a"])[2].tolist()


def test_cli_units_against_finds_the_unit(capsys: pytest.CaptureFixture[str], files: dict[str, Path]) -> None:
    operands = "--a", files["a_values"], "--b", files["b_values"]
    for recorded in ("slow", "slow_values"):
        assert _run(capsys, SLOW, *operands, "--against", files[recorded])[0] == 0
        status, out, _ = _run(capsys, HOPPER, *operands, "--against", files[recorded], "--json")
        found = json.loads(out)
        assert status == 1
        assert found["others"] == [SLOW]
        assert found["trace"]["recorded"] == np.load(files["slow"])[tuple(found["trace"]["place"])]
    out = _run(capsys, HOPPER, *operands, "--against", files["slow"])[1]
    assert f"units of the catalog that give every recorded bit on these operands: {SLOW}" in out
    np.save(files["chain"], np.load(files["chain"]) ^ 1)
    status, out, _ = _run(capsys, HOPPER, *operands, "--against", files["chain"])
    assert status == 1
    assert "operands: none" in out
    assert "--trace ROW,COLUMN shows every product" in out


def test_cli_units_names_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    message = _wrong(capsys, "hopper_wgmma_m64n8k32_f32_e4m3_e4m4")
    assert message.startswith("unknown unit 'hopper_wgmma_m64n8k32_f32_e4m3_e4m4': did you mean hopper_wgmma_m64n8k32_")
    assert "did you mean" in _wrong(capsys, "float8_e4m3fm_float32")
    assert _wrong(capsys, "--architecture", "kepler").startswith("unknown architecture 'kepler': the catalog has Volta")
    assert _wrong(capsys, "--architecture", "").startswith("--architecture must be a word of an architecture")
    assert _wrong(capsys, "--evidence", "rumour").startswith("unknown evidence 'rumour': it is one of measured")


def test_cli_units_options_wrong(capsys: pytest.CaptureFixture[str], files: dict[str, Path], tmp_path: Path) -> None:
    operands = "--a", files["a"], "--b", files["b"]
    assert _wrong(capsys, HOPPER, CHAIN).startswith("two units are compared on operands")
    assert _wrong(capsys, HOPPER, CHAIN, SLOW) == "give one unit, or two to compare, not 3"
    assert _wrong(capsys, HOPPER, "--architecture", "amd").startswith("--architecture and --evidence select from the")
    missing = "operands are two matrices, --a A.npy and --b B.npy: --b is missing"
    assert _wrong(capsys, HOPPER, "--a", files["a"]) == _wrong(capsys, "--a", files["a"]) == missing
    assert _wrong(capsys, *operands) == "operands go through a unit: name one, or two to compare"
    assert _wrong(capsys, HOPPER, *operands, "--random", "1x2x3").startswith("--random draws the operands")
    assert _wrong(capsys, HOPPER, "--random", "1x2") == "--random must be MxKxN, such as 16x128x16, not '1x2'"
    assert "must be positive" in _wrong(capsys, HOPPER, "--random", "0x2x3")
    assert _wrong(capsys, HOPPER, "--trace", "0,0").startswith("--trace goes with operands")
    assert _wrong(capsys, HOPPER, *operands, "--trace", "0") == "--trace must be ROW,COLUMN, such as 0,3, not '0'"
    assert _wrong(capsys, HOPPER, *operands, "--trace", "6,0") == "--trace must be within 6 rows and 5 columns, not 6,0"
    assert _wrong(capsys, HOPPER, *operands, "--depth", "4").startswith("--depth and --diagram show a unit")
    assert _wrong(capsys, HOPPER, "--depth", "0") == "--depth must be at least 1, not 0"
    assert _wrong(capsys, "--depth", "10") == "--depth goes with the name of a unit"
    assert _wrong(capsys, HOPPER, *operands, "-o", "/proc/x.npy").startswith("cannot write '/proc/x.npy': ")
    assert _wrong(capsys, "--diagram", tmp_path / "x.png") == "--diagram goes with the name of a unit"
    assert "must end in .png" in _wrong(capsys, HOPPER, "--diagram", tmp_path / "x.txt")
    assert "must end in .npy" in _wrong(capsys, HOPPER, *operands, "-o", tmp_path / "x.txt")
    assert "no folder" in _wrong(capsys, HOPPER, *operands, "-o", tmp_path / "none" / "d.npy")
    assert _wrong(capsys, HOPPER, CHAIN, *operands, "-o", tmp_path / "d.npy").startswith(
        "--against and --output go with"
    )
    assert _wrong(capsys, HOPPER, *operands, "--values") == "--values goes with --output D.npy"
    both = "--against", files["slow"], "-o", tmp_path / "d.npy"
    assert _wrong(capsys, HOPPER, *operands, *both) == "--output goes with a unit that is run, not with --against"
    assert "--distribution must be one of" in _wrong(capsys, HOPPER, "--random", "1x2x3", "--distribution", "flat")
    assert _wrong(capsys, HOPPER, *operands, "--distribution", "all") == "--distribution goes with --random MxKxN"


def test_cli_units_files_wrong(capsys: pytest.CaptureFixture[str], files: dict[str, Path], tmp_path: Path) -> None:
    a, b = files["a"], files["b"]
    none = tmp_path / "none.npy"
    assert _wrong(capsys, HOPPER, "--a", none, "--b", b) == f"no file {str(none)!r} for a"
    assert _wrong(capsys, HOPPER, "--a", tmp_path, "--b", b) == f"{tmp_path}: is a directory, not a .npy file for a"
    text = tmp_path / "text.npy"
    text.write_text("no array")
    assert _wrong(capsys, HOPPER, "--a", text, "--b", b) == f"{text}: not a .npy file of numbers for a"
    assert "must have as many rows as a has columns, 160, not 6" in _wrong(capsys, HOPPER, "--a", a, "--b", a)
    bad = tmp_path / "bad.npy"

    def wrong(array: Any, *more: str | Path, of: str = HOPPER) -> str:
        np.save(bad, array)
        return _wrong(capsys, of, "--a", bad, "--b", b, *more)

    assert wrong(np.zeros((2, 160), complex)) == f"{bad}: a must be unsigned codes or values, not complex128"
    assert "must have two dimensions" in wrong(np.zeros(160, np.uint8))
    assert "raw bytes (|V2)" in wrong(np.zeros((2, 160), "V2"))  # as NumPy writes bfloat16 of ml_dtypes
    with bad.open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 10**9)}
        np.lib.format.write_array_header_1_0(file, header)
    assert _wrong(capsys, HOPPER, "--a", bad, "--b", b) == (
        f"{bad}: the array that its header tells of, for a, is larger than memory"
    )
    assert wrong(np.full((2, 160), 256, np.uint16)) == (
        f"{bad}: codes of a, float8_e4m3fn, must be in 0..2**8 - 1, not 256"
    )
    assert "must be unsigned integers, not int8" in wrong(np.zeros((2, 160), np.int8))
    assert "must be in -8..7, not 9" in wrong(np.full((2, 160), 9, np.int8), of="int4_by_int8_l8")
    zeros = np.zeros((2, 160), np.uint8)
    np.save(tmp_path / "c.npy", np.zeros((2, 2), np.uint32))
    assert "c must have the shape (2, 5), not (2, 2)" in wrong(zeros, "--c", tmp_path / "c.npy")
    assert "float8_e4m3fn has no block scales" in wrong(zeros, "--a-scales", tmp_path / "c.npy")
    assert "d must have the shape (2, 5), not (2, 2)" in wrong(zeros, "--against", tmp_path / "c.npy")
    np.save(tmp_path / "d.npy", np.full((2, 5), 0.1))
    assert "d must hold values of float32, and 0.1 at 0,0 is none" in wrong(zeros, "--against", tmp_path / "d.npy")


def test_cli_units_help(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = _run(capsys, "--help")
    assert status == 0
    assert "hwsim units mxfp4 --a a.npy --b b.npy" in " ".join(out.split())


def test_cli_units_against_what_a_gpu_gave(capsys: pytest.CaptureFixture[str], shared: Path, tmp_path: Path) -> None:
    with np.load(shared / "golden" / "hopper_h200" / "e4m3_e4m3_f32.npz") as golden:
        instructions = [str(name) for name in golden["instr"]]
        tiles = [int(np.flatnonzero(golden["dist"] == kind)[0]) for kind in range(3)]  # normal, wide, all codes
        held = {name: golden[name] for name in ("a", "b", "c", "d", "instr_k")}
    compared = 0
    for tile in tiles:
        for at, name in enumerate(instructions):
            depth = int(held["instr_k"][at])
            arrays = {"a": held["a"][tile][:, :depth], "b": held["b"][tile][:depth], "c": held["c"][tile]}
            for each, array in {**arrays, "d": held["d"][tile, at]}.items():
                np.save(tmp_path / f"{each}.npy", array)
            options = [part for each in "abc" for part in (f"--{each}", tmp_path / f"{each}.npy")]
            found = _json(capsys, f"hopper_{name}", *options, "--against", tmp_path / "d.npy")
            assert (found["differ"], found["zero_signs"], found["nan_codes"]) == (0, 0, 0), name
            compared += found["outputs"]
    assert compared == len(tiles) * len(instructions) * 512
