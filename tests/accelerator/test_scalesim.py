# SPDX-License-Identifier: Apache-2.0
"""Serial folds are SCALE-Sim's: its closed forms on ResNet-18 and a ViT block, and what version 3.0.0 reported."""

from itertools import product as crossed

import pytest

from hwsim.accelerator import ArrayKind, ArraySpec, Folds, Schedule, schedule
from hwsim.network import MatmulShape

OS, WS, IS = ArrayKind.OUTPUT_STATIONARY, ArrayKind.WEIGHT_STATIONARY, ArrayKind.INPUT_STATIONARY

# Side of the input, side of the filter, channels, filters, stride: He et al., arXiv:1512.03385, table 1, with the
# projections of option B; and the classifier.
RESNET18 = (
    (224, 7, 3, 64, 2),
    *((56, 3, 64, 64, 1),) * 4,
    (56, 3, 64, 128, 2), (28, 3, 128, 128, 1), (56, 1, 64, 128, 2), *((28, 3, 128, 128, 1),) * 2,
    (28, 3, 128, 256, 2), (14, 3, 256, 256, 1), (28, 1, 128, 256, 2), *((14, 3, 256, 256, 1),) * 2,
    (14, 3, 256, 512, 2), (7, 3, 512, 512, 1), (14, 1, 256, 512, 2), *((7, 3, 512, 512, 1),) * 2,
    (1, 1, 512, 1000, 1),
)  # fmt: skip
# Groups, m, k, n of ViT-B/16 at 197 tokens: query, key and value; scores, their sum; projection; the two of the MLP.
VIT = (
    (1, 197, 768, 2304), (12, 197, 64, 197), (12, 197, 197, 64), (1, 197, 768, 768), (1, 197, 768, 3072),
    (1, 197, 3072, 768),
)  # fmt: skip


def _serial(kind: ArrayKind, product: MatmulShape, rows: int = 32, columns: int = 32) -> Schedule:
    return schedule(ArraySpec(dataflow=kind, rows=rows, columns=columns, folds=Folds.SERIAL), product, 1, 1)


def _resnet18() -> list[MatmulShape]:
    """Return its products with as many output pixels as SCALE-Sim has: there is no padding, and it rounds up."""
    found = []
    for side, kernel, channels, filters, stride in RESNET18:
        out = -(-(side - kernel + stride) // stride)
        found.append(MatmulShape(1, out * out, kernel * kernel * channels, filters))
    return found


def test_serial_resnet18_and_vit_in_scale_sim_form() -> None:
    layers = [*_resnet18(), *(MatmulShape(*each) for each in VIT)]
    assert sum(layer.macs for layer in layers[:21]) == pytest.approx(1.471e9, rel=1e-3)  # as it is known for
    compared = 0
    for (groups, m, k, n), (rows, columns) in crossed(layers, ((32, 32), (16, 64))):
        down, across, deep = -(-m // rows), -(-n // columns), -(-k // rows)
        forms = {
            OS: down * across * (rows + columns + k - 2),
            WS: deep * across * (2 * rows + columns + m - 2),
            IS: deep * -(-m // columns) * (2 * rows + columns + n - 2),
        }
        for kind, cycles in forms.items():
            found = _serial(kind, MatmulShape(groups, m, k, n), rows, columns)
            assert found.cycles - found.drain_cycles == groups * cycles
            compared += 1
    assert compared == (21 + 6) * 2 * 3


@pytest.mark.parametrize(
    ("shape", "reports"),
    [  # "Total Cycles" of SCALE-Sim 3.0.0 on 32 x 32, CALC mode: OS, WS, IS
        ((1, 512, 1000), (18367, 48639, 17503)),
        ((841, 64, 128), (13607, 7479, 11987)),  # a projection: 56 pixels a side become 29
        ((225, 128, 256), (12159, 10207, 11199)),
        ((197, 768, 768), (139439, 167615, 144815)),
        ((197, 197, 64), (3625, 4073, 7741)),
        ((25, 4608, 512), (74719, None, None)),
    ],
)
def test_serial_is_one_more_than_scale_sim_reports(
    shape: tuple[int, int, int], reports: tuple[int | None, ...]
) -> None:
    for kind, report in zip((OS, WS, IS), reports, strict=True):
        found = _serial(kind, MatmulShape(1, *shape))
        assert report is None or found.cycles - found.drain_cycles - 1 == report
