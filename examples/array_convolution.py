# SPDX-License-Identifier: Apache-2.0
"""Stream a convolution of the digits network through the Verilog of every kind of array; compare bits and cycles.

python examples/array_convolution.py --rows 4 --columns 4
"""

import argparse

import numpy as np
from numpy.typing import NDArray

import rtl
from hwsim import data, datapath, network
from hwsim.accelerator import streamed
from hwsim.datapath.array import ArrayGeometry, ArrayKind
from hwsim.network import MatmulShape
from testbenches.arrays import program, run_verilog
from testbenches.compiled import Compiled


class _Recorder(network.ExactEngine):
    """The exact engine, which keeps the operands of each layer."""

    def __init__(self) -> None:
        self.operands: list[tuple[str, NDArray[np.int8], NDArray[np.int8]]] = []

    def matmul(self, layer: network.Layer, a: NDArray[np.int8], b: NDArray[np.int8]) -> NDArray[np.int64]:
        """Keep the codes of the operands."""
        self.operands.append((layer.name, a[0], b[0]))
        return super().matmul(layer, a, b)


def main() -> None:
    """Print a line for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--layer", type=int, default=1, help="which product of the network, from 0")
    parser.add_argument("--kinds", nargs="*", default=[kind.value for kind in ArrayKind])
    parser.add_argument("--quick", action="store_true", help="one kind only, 2 by 2")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.columns, options.kinds = 2, 2, options.kinds[:1]

    images, _ = data.digits_test()
    recorder = _Recorder()
    net = network.read(data.digits_model_path(quantized=True))
    network.run(net, {"input": images[:1]}, engine=recorder)
    name, a, b = recorder.operands[options.layer]
    unit = datapath.named("int8")
    a_codes, b_codes = a.astype(np.uint8), b.astype(np.uint8)
    shape = MatmulShape(1, a.shape[0], a.shape[1], b.shape[1])
    exact = a.astype(np.int64) @ b.astype(np.int64)
    print(f"layer {name}: ({shape.m}, {shape.k}) by ({shape.k}, {shape.n}), {shape.macs} products of {unit.name}")
    print(f"{'array':30} beats  cycles  closed form (load skew stream drain)".ljust(84) + " stalled  outputs")
    for kind in map(ArrayKind, options.kinds):
        geometry = ArrayGeometry(
            kind=kind,
            rows=options.rows,
            columns=options.columns,
            depth=4 if kind is ArrayKind.CUBE else 1,
            partial_sums=not kind.keeps_outputs,
        )
        stream = program(geometry, unit, a_codes, b_codes)
        compiled = Compiled(rtl.array_verilog(geometry, unit), rtl.array_name(geometry, unit))
        steady = run_verilog(compiled, geometry, unit, stream)
        stalled = run_verilog(compiled, geometry, unit, stream, bubbles=0.4, stalls=0.5)
        form = streamed(geometry, shape, unit.lanes)
        for run in (steady, stalled):
            product = stream.gather(run.d, geometry, unit.output.bits).astype(np.int32)
            if run.wrong or run.broken or not np.array_equal(product, exact):
                raise SystemExit(f"{geometry.name}: {run.wrong} outputs are wrong")
        if steady.cycles != form.cycles:
            raise SystemExit(f"{geometry.name}: {steady.cycles} cycles, not {form.cycles}")
        parts = f"{form.load_cycles} {form.skew_cycles} {form.stream_cycles} {form.drain_cycles}"
        print(
            f"{geometry.name:30} {len(stream.beats):5}  {steady.cycles:6}  {form.cycles:6} ({parts})".ljust(84)
            + f" {stalled.cycles:7}  {2 * len(steady.d):6}"
        )


if __name__ == "__main__":
    main()
