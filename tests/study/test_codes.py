# SPDX-License-Identifier: Apache-2.0
"""Networks that are quantized already: which of their codes a unit takes, and what would do where it does not."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from hwsim import datapath
from hwsim.study import Case, DesignPoint, case, evaluate
from hwsim.study.codes import check_codes, has_codes

_QDQ = "--from-quantized (from_quantized in Python and in a study's file) takes its float form"
_OTHER = "its quantizers cannot be taken out, as those of a QDQ network can: other formats need its float network"


def _product(path: Path, kind: str) -> Case:
    """Return a product of 8 values by an 8 x 3 matrix, both quantized by nodes of a kind; "" for neither."""
    weights = np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3)
    constants = {"w": weights, "s": np.float32(0.25), "zero": np.int8(0), "z": np.float32(0), "bits": np.float32(8)}
    nodes, left, right = [], "x", "w"
    for name in ("x", "w") * (kind != ""):
        if kind == "QDQ":
            nodes.append(helper.make_node("QuantizeLinear", [name, "s", "zero"], [f"{name}_codes"]))
            nodes.append(helper.make_node("DequantizeLinear", [f"{name}_codes", "s", "zero"], [f"{name}_q"]))
        else:
            given = [name, "s", "z", "bits"]
            node = helper.make_node(
                kind, given, [f"{name}_q"], domain="qonnx.custom_op.general", signed=1, narrow=0, rounding_mode="ROUND"
            )
            nodes.append(node)
        left, right = "x_q", "w_q"
    nodes.append(helper.make_node("MatMul", [left, right], ["y"]))
    x, y = (helper.make_tensor_value_info(each, TensorProto.FLOAT, [1, size]) for each, size in (("x", 8), ("y", 3)))
    held = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("qonnx.custom_op.general", 1)]
    graph = helper.make_graph(nodes, "product", [x], [y], held)
    save(helper.make_model(graph, opset_imports=domains, ir_version=8), path)
    return case("product", path, images=2)


@pytest.mark.parametrize(("kind", "hint"), [("QDQ", _QDQ), ("Quant", _OTHER)])
def test_codes_that_a_unit_does_not_take_are_told_with_what_would_do(tmp_path: Path, kind: str, hint: str) -> None:
    made = _product(tmp_path / "product.onnx", kind)
    assert has_codes(made.network)
    check_codes(made, datapath.comparable("int8", 16))
    for name in ("mxfp4", "float8_e4m3fn"):
        unit = datapath.comparable(name, 16)
        said = f"unit {unit.name} ({name} by {name}) does not take its codes (int8 by int8); {hint}"
        with pytest.raises(ValueError, match=r"^network 'product' is quantized already") as caught:
            check_codes(made, unit)
        assert said in str(caught.value)
        assert said in evaluate(DesignPoint.of(name, network="product"), made).refused
    if kind == "QDQ":  # what is said would do does
        freed = case("product", tmp_path / "product.onnx", images=2, from_quantized=True)
        assert evaluate(DesignPoint.of("mxfp4", network="product"), freed).refused == ""


def test_codes_of_a_float_network_are_none(tmp_path: Path) -> None:
    made = _product(tmp_path / "product.onnx", "")
    assert not has_codes(made.network)
    check_codes(made, datapath.comparable("mxfp4", 16))
