# SPDX-License-Identifier: Apache-2.0
"""Made-up evaluations for the page's tests: as many and as varied as those of a sweep, and nothing measured."""

from hashlib import sha256
from itertools import islice, product
from math import log10
from typing import Any

import numpy as np

from hwsim.datapath import comparable
from hwsim.study.evaluation import Evaluation
from hwsim.study.point import DesignPoint
from hwsim.study.quantities import KEYS, QUANTITIES

# Bits an element, and about what a multiplier of that format takes beside int8's.
FORMATS = {
    "int8": (8, 1.0), "mxfp4": (4.25, 0.55), "nvfp4": (4.5, 0.6), "int4": (4, 0.35), "mxint8": (8.25, 1.15),
    "mxfp6_e2m3": (6.25, 0.8), "mxfp6_e3m2": (6.25, 0.75), "mxfp8_e4m3": (8.25, 1.2), "mxfp8_e5m2": (8.25, 1.1),
    "float8_e4m3fn": (8, 1.3), "float8_e5m2": (8, 1.5), "float6_e2m3fn": (6, 0.7), "float6_e3m2fn": (6, 0.75),
    "float4_e2m1fn": (4, 0.4), "int6": (6, 0.65), "int5": (5, 0.5), "posit8_0": (8, 1.7), "posit8_1": (8, 2.1),
    "nf4": (4, 1.4), "mxint4": (4.25, 0.45), "mxint6": (6.25, 0.8), "nvint4": (4.5, 0.5), "bfloat16": (16, 2.4),
    "float16": (16, 2.8), "fixed12_8": (12, 1.9), "minifloat_e3m2": (6, 0.8), "int7": (7, 0.8), "int3": (3, 0.25),
}  # fmt: skip
_ACCELERATORS = {"mxfp4_4x4": 1.0, "int8_16x16": 0.9}
_TECHNOLOGIES = {"asap7": (1.0, 1000), "nangate45": (14.0, 500)}
_SIZES = ((4, 4), (8, 8), (16, 16), (32, 32), (8, 32))
_CLOCKS = ("fastest", 400)
_LAYERS = (("conv1", "Conv", 9), ("conv2", "Conv", 36), ("conv3", "Conv", 72), ("conv4", "Conv", 72), ("fc", "Gemm", 5))
_STAGES = {"decode": 0.08, "multiply": 0.37, "align_add": 0.3, "accumulate": 0.15, "round_pack": 0.1}
_SHARES = {"units": 0.45, "registers": 0.12, "sram": 0.28, "dram": 0.1, "wires": 0.02, "leakage": 0.03}


def comparison(count: int = 1000, *, title: str = "A made-up sweep", refused: int = 6) -> dict[str, Any]:
    """Return what `write_page` takes, of so many points and some that cannot be."""
    spanned = product(_SIZES, _CLOCKS, _TECHNOLOGIES, _ACCELERATORS, FORMATS)
    made = [_evaluation(i, *each) for i, each in enumerate(islice(spanned, count))]
    assert len(made) == count
    return {
        "title": title,
        "version": "0.1.0",
        "quantities": [each.as_dict() for each in QUANTITIES],
        "evaluations": [each.as_dict() for each in [*made, *(_refused(i) for i in range(refused))]],
        "notes": ["All values here are made up for tests of the page."],
    }


def _evaluation(
    at: int, size: tuple[int, int], clock: object, technology: str, accelerator: str, name: str
) -> Evaluation:
    rng = np.random.default_rng(sum(map(ord, f"{name}{size}{clock}{technology}{accelerator}")) + at)
    bits, weight = FORMATS[name]
    scale, mhz = _TECHNOLOGIES[technology]
    lanes = 16
    sqnr = 6.02 * bits - 8 + 3 * ("mx" in name or "nv" in name) - 4 * ("e5m2" in name)
    sqnr += float(np.random.default_rng(sum(map(ord, name))).normal(0, 1.5))
    count = size[0] * size[1]
    area = 130 * weight * scale * (1 + 0.03 * float(rng.normal()))
    energy = 0.011 * weight * scale**0.75 * (1 + 0.05 * float(rng.normal()))
    array = area * count / 1e6 * 1.12
    chip = array + 0.004 * scale
    rate = mhz * float(rng.uniform(0.8, 1.1)) if clock == "fastest" else float(str(clock))
    cycles = round(190_000 / (count * lanes) * _ACCELERATORS[accelerator] * (1 + 4 / size[0]) + 900)
    total = 194_000 * energy / _SHARES["units"] / 1e3
    latency = cycles / rate
    figures: dict[str, Any] = dict.fromkeys(KEYS)
    accuracy = round(360 * (0.967 - 0.9 * 10 ** (-(sqnr + 2) / 12))) / 360
    figures |= {
        "bits_per_element": bits, "accuracy": max(accuracy, 0.1), "float_accuracy": 348 / 360,
        "agreement": min(1.0, max(accuracy + 0.02, 0.1)), "output_sqnr_db": sqnr, "weight_qsnr_db": sqnr + 4.2,
        "images": 360, "unit_area_um2": area, "unit_delay_ps": 1e6 / rate * 0.9, "energy_pj_per_mac": energy,
        "cost_fitted": name in {"minifloat_e3m2", "int7", "int3", "fixed12_8"}, "units": count,
        "cost_source": f"synthesized in {technology}", "macs_per_cycle": count * lanes, "clock_mhz": round(rate),
        "array_area_mm2": array, "area_mm2": chip, "cycles": cycles, "latency_us": latency,
        "utilisation": 190_000 / (cycles * count * lanes), "energy_nj": total, "sram_kbit": 96 * bits,
        "dram_kbit": 22 * bits, "inferences_per_s": 1e6 / latency, "inferences_per_s_per_mm2": 1e6 / latency / chip,
        "inferences_per_j": 1e9 / total, "power_mw": total / latency,
    }  # fmt: skip
    if figures["cost_fitted"]:
        figures["cost_error"] = 0.14
    figures |= {f"energy_{part}_nj": total * share for part, share in _SHARES.items()}
    clocks = () if clock == "fastest" else (("clock_mhz", int(str(clock))),)
    point = DesignPoint(
        format=name, unit=comparable(name, lanes).name, accelerator=accelerator, technology=technology,
        settings=(("array.columns", size[1]), ("array.rows", size[0]), *clocks),
    )  # fmt: skip
    return Evaluation(
        point=point,
        key=sha256(repr((at, point)).encode()).hexdigest(),
        figures=figures,
        layers=tuple(_layers(sqnr, cycles, total, figures["utilisation"])),
        stages={
            "area_um2": {stage: area * share for stage, share in _STAGES.items()},
            "energy_pj": {stage: energy * lanes * share for stage, share in _STAGES.items()},
        },
        sources=(f"{technology}: made up", "memories: made up, 1R1W, 22 nm", f"accuracy of {name}: made up"),
    )


def _layers(sqnr: float, cycles: int, energy: float, utilisation: float) -> list[dict[str, Any]]:
    """Return rows of layers whose cycles and energy go as their work, and whose errors add up."""
    work = sum(each[2] for each in _LAYERS)
    found: list[dict[str, Any]] = []
    for depth, (name, operator, part) in enumerate(_LAYERS, start=1):
        found.append(
            {
                "name": name,
                "operator": operator,
                "macs": part * 1000,
                "cycles": round(cycles * part / work),
                "utilisation": utilisation,
                "energy_nj": energy * part / work,
                "sqnr_db": sqnr + 10 * log10(len(_LAYERS) / depth),
                "sqnr_alone_db": sqnr + 10 * log10(len(_LAYERS)) - (3 if name == "conv1" else 0),
            }
        )
    return found


def _refused(at: int) -> Evaluation:
    point = DesignPoint(
        format="int8", unit="int8_l16_int28_to_float32", settings=(("array.rows", 8), ("clock_mhz", 4000 + at))
    )
    return Evaluation(
        point=point,
        key=sha256(repr(("refused", at)).encode()).hexdigest(),
        sources=(),
        refused=f"clock_mhz must be at most 1120, what the unit reaches in asap7 with wires, not {4000 + at}",
    )
