# SPDX-License-Identifier: Apache-2.0
"""References for block formats: gfloat's blocks and torchao's MX and NVFP4."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.conformance.reference import BlockEncoding, BlockPeer, Encoding, Peer, Values, load
from hwsim.formats import BlockSpec, FloatSpec, ScaleRule, named

__all__ = [
    "Bitsandbytes",
    "GfloatBlocks",
    "Torchao",
    "block_rows",
]

_SMALLEST_SCALE = 2.0**-6  # torch.finfo(torch.float8_e4m3fn).tiny, E4M3's smallest normal value
_GFLOAT_ELEMENTS = {
    "float8_e5m2": "ocp_e5m2",
    "float8_e4m3fn": "ocp_e4m3",
    "float6_e3m2fn": "ocp_e3m2",
    "float6_e2m3fn": "ocp_e2m3",
    "float4_e2m1fn": "ocp_e2m1",
}


def block_rows(rows: int, columns: int) -> NDArray[np.float32]:
    """Return rows of very different size: normal ones, multiples of 1/8, powers of two and their neighbours, zeros.

    Within 2**-100 and 2**100, so that no scale of a block of 32 is at the end of E8M0, where libraries have their own
    ways: that end is for the tests of each.
    """
    rng = np.random.default_rng(rows)
    quarter = (rows // 4, columns)
    size = np.exp2(rng.integers(-80, 80, (rows // 4, 1)))
    normal = rng.standard_normal(quarter) * size
    ties = rng.integers(-64, 65, quarter) / 8 * size
    powers = np.exp2(rng.integers(-6, 3, quarter)) * rng.choice([-1.0, 1.0], quarter) * size
    below = np.nextafter(powers.astype(np.float32), np.float32(0)).astype(np.float64)
    rest = rows - 4 * (rows // 4)
    return np.concatenate([normal, ties, powers, below, np.zeros((rest, columns))]).astype(np.float32)


def _is_mx(spec: Any) -> bool:
    return (
        isinstance(spec, BlockSpec)
        and spec.scale.name == "float8_e8m0fnu"
        and spec.rule is ScaleRule.OCP_FLOOR
        and not spec.tensor_scale
    )


class GfloatBlocks:
    """Gfloat's block quantization with its scale from the largest magnitude; an element at a time, so of few rows."""

    name = "gfloat"
    distribution = "gfloat"

    def has(self, spec: Any) -> bool:
        """Tell whether gfloat can describe the format."""
        return _is_mx(spec) and spec.element.name in _GFLOAT_ELEMENTS

    def peer(self, spec: BlockSpec) -> BlockPeer:
        """Return gfloat's form of a block format."""
        gfloat, constants = load("gfloat", self.distribution), load("gfloat.formats", self.distribution)
        element = getattr(constants, f"format_info_{_GFLOAT_ELEMENTS[spec.element.name]}")
        info = gfloat.BlockFormatInfo(spec.name, element, spec.block_size, constants.format_info_ocp_e8m0)

        def quantize(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], None]:
            blocks = rows.astype(np.float64).reshape(-1, spec.block_size)
            found = [gfloat.quantize_block(info, block, gfloat.compute_scale_amax) for block in blocks]
            return np.concatenate(found).reshape(rows.shape), None

        return BlockPeer(encodings=(BlockEncoding(quantize=quantize),), rows=64)


class Torchao:
    """Torchao's MX formats with each of its four scale rules, and its NVFP4 with a scale of the tensor; eager."""

    name = "torchao"
    distribution = "torchao"

    def has(self, spec: Any) -> bool:
        """Tell whether torchao has the format."""
        return (_is_mx(spec) and spec.element.name in _GFLOAT_ELEMENTS) or getattr(spec, "name", "") == "nvfp4"

    def peer(self, spec: BlockSpec) -> BlockPeer:
        """Return torchao's form of a block format."""
        torch = load("torch", "torch")
        if spec.tensor_scale:
            return self._nvfp4(torch)
        module = load("torchao.prototype.mx_formats.mx_tensor", self.distribution)
        constants = load("torchao.prototype.mx_formats.constants", self.distribution)
        kinds = {
            "float8_e5m2": torch.float8_e5m2,
            "float8_e4m3fn": torch.float8_e4m3fn,
            "float6_e3m2fn": constants.DTYPE_FP6_E3M2,
            "float6_e2m3fn": constants.DTYPE_FP6_E2M3,
            "float4_e2m1fn": torch.float4_e2m1fn_x2,
        }
        kind = kinds[spec.element.name]

        modes = load("torchao.prototype.mx_formats.config", self.distribution).ScaleCalculationMode

        def quantize(mode: Any, rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            scales, data = module.to_mx(torch.from_numpy(rows), kind, spec.block_size, mode)
            values = module.to_dtype(data, scales, kind, spec.block_size, torch.float64)
            return np.asarray(values), spec.scale.decode(np.asarray(scales.view(torch.uint8)))

        rules = {"ocp_floor": modes.FLOOR, "ocp_ceil": modes.CEIL, "ceil": modes.RCEIL, "even": modes.EVEN}
        encodings = (BlockEncoding(quantize=partial(quantize, mode), rule=rule) for rule, mode in rules.items())
        return BlockPeer(encodings=tuple(encodings), rows=2048)

    def _nvfp4(self, torch: Any) -> BlockPeer:
        module = load("torchao.prototype.mx_formats.nvfp4_tensor", self.distribution)
        kernels = load("torchao.prototype.mx_formats.kernels", self.distribution)

        def quantize(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            tensor = torch.from_numpy(rows)
            whole = module.per_tensor_amax_to_scale(tensor.abs().max())
            scales, packed = module.nvfp4_quantize(tensor, 16, whole)
            elements = kernels.f4_unpacked_to_f32(kernels.unpack_uint4(packed)).to(torch.float64)
            factor = scales.to(torch.float64) * whole.to(torch.float64)
            values = elements.reshape(len(rows), -1, 16) * factor.unsqueeze(-1)
            return np.asarray(values.reshape(rows.shape)), np.asarray(scales.to(torch.float64))

        return BlockPeer(encodings=(BlockEncoding(quantize=quantize, flaw=_reciprocal, reason=_RECIPROCAL),), rows=4096)


class Bitsandbytes:
    """The 4-bit codebooks of bitsandbytes on the CPU: alone, by blocks with a 1 in each, and NF4 in blocks of 64."""

    name = "bitsandbytes"
    distribution = "bitsandbytes"

    def has(self, spec: Any) -> bool:
        """Tell whether bitsandbytes has the format."""
        return spec.name in ("nf4", "bnb_fp4", "nf4_b64")

    def peer(self, spec: Any) -> Peer | BlockPeer:
        """Return bitsandbytes' form of a format."""
        torch = load("torch", "torch")
        functional = load("bitsandbytes.functional", self.distribution)
        kind = "fp4" if spec.name == "bnb_fp4" else "nf4"

        def blocks(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            packed, state = functional.quantize_4bit(torch.from_numpy(rows), blocksize=64, quant_type=kind)
            codes = np.asarray(packed).reshape(-1)
            elements = np.asarray(state.code).astype(np.float64)[np.stack([codes >> 4, codes & 15], axis=1).reshape(-1)]
            scales = np.asarray(state.absmax).astype(np.float64)
            values = elements.reshape(-1, 64) * scales[:, None]
            return values.reshape(rows.shape), scales.reshape(len(rows), -1)

        def cast(values: Values) -> NDArray[np.float64]:
            rows = np.ones((-(-values.size // 63), 64), np.float32)  # the first of each block stays 1
            inner = np.zeros(rows[:, 1:].size, np.float32)
            inner[: values.size] = values
            rows[:, 1:] = inner.reshape(-1, 63)
            return blocks(rows)[0][:, 1:].reshape(-1)[: values.size]

        def covers(values: Values) -> NDArray[np.bool_]:
            return np.asarray(np.abs(values) <= 1)

        if isinstance(spec, BlockSpec):
            return BlockPeer(encodings=(BlockEncoding(quantize=blocks),), rows=2048)
        nearest = Encoding(rounding="nearest_even", overflow="saturate", run=cast, covers=covers)
        return Peer(decode=None, encodings=(nearest,))


_RECIPROCAL = (
    "torchao multiplies by a reciprocal that was rounded to float32 twice, where the recipe divides, and keeps block "
    "scales normal numbers"
)


def _reciprocal(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what torchao's way of NVFP4 gives, step by step in float32."""
    element, scale = named("float4_e2m1fn"), named("float8_e4m3fn")
    assert isinstance(element, FloatSpec)
    assert isinstance(scale, FloatSpec)
    blocks = rows.reshape(len(rows), -1, 16)
    whole = np.float32(np.abs(rows).max() / np.float32(6 * 448))
    wanted = np.abs(blocks).max(axis=-1) / np.float32(6) / whole
    scales = scale.decode(scale.encode(np.clip(wanted, np.float32(_SMALLEST_SCALE), np.float32(448))))
    reciprocal = (np.float32(1) / whole) / scales.astype(np.float32)
    elements = element.decode(element.encode(blocks * reciprocal[..., None]))
    values = elements * (scales * np.float64(whole))[..., None]
    return values.reshape(rows.shape), scales
