# SPDX-License-Identifier: Apache-2.0
"""Formats beside other libraries: nothing differs but what is known to, and that is just where it is known."""

import json
import os
import re
from typing import Any

import numpy as np
import pytest

from hwsim import formats
from hwsim.conformance import Verdict, comparison, conformance, points, reference
from hwsim.formats import BlockSpec

INTERPRETED = os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"
compiled_only = pytest.mark.skipif(INTERPRETED, reason="a hundred thousand values through kernels as plain Python")

# Differences that have a reason, with how many results they touch, in the versions that the `test` extra names.
KNOWN = {
    ("float8_e4m3fn", "ml_dtypes"): 254,
    ("float8_e5m2", "ml_dtypes"): 248,
    ("float8_e8m0fnu", "ml_dtypes"): 295,
    ("float8_e8m0fnu", "gfloat"): 1249,
    ("float8_e8m0fnu", "onnx.reference"): 180023,
    ("float4_e2m1fn", "ml_dtypes"): 14,
    ("float6_e3m2fn", "ml_dtypes"): 62,
    ("int8", "onnx.reference"): 12419,
    ("int4", "onnx.reference"): 12419,
    ("uint8", "onnx.reference"): 12419,
}
NAMES = ("float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu", "float4_e2m1fn", "float6_e3m2fn", "int8", "int4", "uint8")
P3109 = ("binary8p3se", "binary8p4sf", "binary8p4ue", "binary8p1se", "binary6p3se", "binary4p2sf", "binary3p1uf")
REQUIRED = ("numpy", "ml_dtypes", "onnx.reference", "gfloat")


@compiled_only
@pytest.mark.parametrize("name", NAMES)
def test_conformance_only_known_differences(name: str) -> None:
    verdicts = conformance([name], REQUIRED)
    assert verdicts
    for verdict in verdicts:
        assert verdict.version
        assert verdict.differences == 0, verdict
        assert verdict.encoded > 90_000
        assert verdict.known == KNOWN.get((name, verdict.reference), 0), verdict
        assert bool(verdict.note) == bool(verdict.known)


@compiled_only
@pytest.mark.slow
def test_conformance_whole_catalog() -> None:
    verdicts = conformance([*formats.names(), *P3109])
    assert {verdict.format for verdict in verdicts} >= set(formats.names())
    different = [verdict for verdict in verdicts if verdict.differences]
    assert not different
    compared = sum(verdict.decoded + verdict.encoded for verdict in verdicts)
    assert compared > 50_000_000
    assert {verdict.reference for verdict in verdicts if verdict.version} >= set(REQUIRED)


@compiled_only
def test_conformance_counts_a_wrong_code(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = formats.named("float6_e3m2fn")
    assert not isinstance(spec, BlockSpec)

    class Wrong(reference.Reference):
        name = "wrong"
        distribution = "numpy"

        def has(self, spec: Any) -> bool:
            return bool(spec.bits == 6)

        def peer(self, spec: Any) -> reference.Peer:
            def decode(codes: Any) -> Any:
                return np.where(codes == 5, 99.0, spec.decode(codes))

            def away(values: Any) -> Any:
                return spec.decode(spec.encode(values, "nearest_away"))

            wrong = reference.Encoding(rounding="nearest_even", overflow="saturate", run=away)
            return reference.Peer(decode=decode, encodings=(wrong,))

    monkeypatch.setattr(comparison, "REFERENCES", (Wrong(),))
    (verdict,) = conformance(["float6_e3m2fn"])
    values = points.singles(spec)
    ties = int((spec.encode(values) != spec.encode(values, "nearest_away")).sum())
    assert ties == 32  # half of the 31 middles of a sign are ties to odd, and all of the format's bits are used twice
    assert (verdict.decoded, verdict.encoded) == (64, values.size)
    assert (verdict.differences, verdict.known, verdict.note) == (ties + 1, 0, "")


def test_conformance_missing_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str, distribution: str) -> Any:
        raise reference.MissingReferenceError("not installed")

    monkeypatch.setattr("hwsim.conformance.emulators.load", nothing)
    monkeypatch.setattr("hwsim.conformance.blocks.load", nothing)
    verdicts = conformance(["float6_e3m2fn", "mxfp4"], ["gfloat", "torchao"])
    assert [(v.format, v.reference, v.version, v.note) for v in verdicts] == [
        ("float6_e3m2fn", "gfloat", "", "not installed"),
        ("mxfp4", "gfloat", "", "not installed"),
        ("mxfp4", "torchao", "", "not installed"),
    ]
    assert [(v.decoded, v.encoded, v.differences, v.known) for v in verdicts] == [(0, 0, 0, 0)] * 3


def test_conformance_no_reference() -> None:
    seen: list[str] = []
    (verdict,) = conformance(["nvint4"], progress=seen.append)
    assert seen == ["nvint4"]
    assert (verdict.reference, verdict.version) == ("none", "")
    assert verdict.note == "no library that we know has this format"


def test_conformance_json() -> None:
    verdict = Verdict(
        format="int8", reference="numpy", version="2.0", decoded=256, encoded=9, differences=0, known=1, note="why"
    )
    assert json.loads(json.dumps(verdict.to_json())) == {
        "format": "int8",
        "reference": "numpy",
        "version": "2.0",
        "decoded": 256,
        "encoded": 9,
        "differences": 0,
        "known": 1,
        "note": "why",
    }


def test_conformance_load_quiet(capfd: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "chatty_module.py").write_text("import os\nprint('hello')\nos.system('echo there; echo here >&2')\n")
    (tmp_path / "broken_module.py").write_text("raise OSError('no such library')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert reference.load("chatty_module", "numpy").__name__ == "chatty_module"
    assert capfd.readouterr() == ("", "")
    text = "installed, but does not load: no such library"
    with pytest.raises(reference.MissingReferenceError, match=f"^{re.escape(text)}$"):
        reference.load("broken_module", "numpy")
    with pytest.raises(reference.MissingReferenceError, match=r"^not installed$"):
        reference.load("numpy", "a-distribution-of-that-name-is-not-there")


def test_conformance_references_wrong() -> None:
    text = "references must be among apytypes, bitsandbytes, gfloat, ml_dtypes, numpy, onnx.reference, onnxruntime, "
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        conformance(["int8"], ["numpyy"])
    with pytest.raises(KeyError, match="unknown format 'int'"):
        conformance(["int"])
