# SPDX-License-Identifier: Apache-2.0
"""Follow one pair of operands through a unit: the model stage by stage, the Verilog, the mapped gates, the price.

python examples/follow_operand.py float8_e4m3fn 1.75 -0.3125
"""

import argparse

import numpy as np

import rtl
from cost_models.memory import sram
from hwsim import datapath, formats
from hwsim.datapath import Row
from hwsim.datapath.align_add import align_add_exact
from hwsim.datapath.decode import decode_exact
from hwsim.datapath.multiply import multiply_exact
from hwsim.datapath.terms import Term


def main() -> None:
    """Print the journey."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("format", nargs="?", default="float8_e4m3fn", help="a scalar format")
    parser.add_argument("a", nargs="?", type=float, default=1.75)
    parser.add_argument("b", nargs="?", type=float, default=-0.3125)
    parser.add_argument(
        "--quick", action="store_true", help="leave out the synthesis of a unit that was never measured"
    )
    options = parser.parse_args()

    unit = datapath.named(options.format)
    spec = unit.element_a
    codes = [int(code) for code in spec.encode(np.array([options.a, options.b]))]
    print(f"unit        {unit.name}")
    for name, value, code in zip("ab", (options.a, options.b), codes, strict=True):
        print(f"encode      {name} = {value} -> code {code:0{spec.bits}b}")
    a, b = (decode_exact(spec, code) for code in codes)
    for name, term in (("a", a), ("b", b)):
        print(f"decode      {name} = {term.significand} * 2**{term.exponent}")
    product = multiply_exact(a, b)
    print(f"multiply    a * b = {product.significand} * 2**{product.exponent}")
    total = align_add_exact([product], Term(1, 0, 0))
    places = total.significand << (total.exponent - unit.product_exp_min)
    print(f"align_add   in units of 2**{unit.product_exp_min}: {places}")
    register = datapath.accumulate_exact(unit, datapath.load_exact(unit, 0), total)
    print(f"accumulate  register {unit.accumulator.name} = {register[0]}")
    code = datapath.output_exact(unit, register)
    digits = -(-unit.output.bits // 4)
    value = float(unit.output.decode(np.array(code, formats.codes.code_dtype(unit.output.bits))))
    print(f"round_pack  d = {code:0{digits}x} = {value} ({unit.output.name})")

    row = Row(first=True, last=True, a=(codes[0],), b=(codes[1],))
    (stream,) = datapath.dot_exact(unit, [row])
    kernel = datapath.matmul(unit, np.array([[codes[0]]]), np.array([[codes[1]]]))
    print(f"model       oracle {stream:0{digits}x}, kernel {int(kernel[0, 0]):0{digits}x}")
    text = rtl.verilog(unit)
    modules = [line.split()[1].split("(")[0] for line in text.splitlines() if line.startswith("module ")]
    print(f"RTL         {len(text.splitlines())} lines of Verilog: {', '.join(modules)}")

    if options.quick:
        return
    from hwsim import study

    cost = study.price(unit, "asap7")
    print(f"gates       {cost.verified_vectors:,} outputs of the mapped netlist equal the model's")
    print(f"price       {cost.area_um2:.1f} um2, {cost.delay_ps:.0f} ps, {cost.energy_pj:.4f} pJ a step in ASAP7")
    print(f"            {cost.source}")
    memory = sram(64 * 1024, 128)
    bits = spec.bits
    print(f"            its {bits} bits from a 64 KiB SRAM: {bits * memory.read_pj_per_bit:.3f} pJ ({memory.source})")


if __name__ == "__main__":
    main()
