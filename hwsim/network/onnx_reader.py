# SPDX-License-Identifier: Apache-2.0
"""Read an ONNX file into a network."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
from google.protobuf.message import DecodeError, Message

from hwsim.network.affine import CODE_RANGES
from hwsim.network.folding import fold
from hwsim.network.fuse import BUILDERS, Fused, fuse
from hwsim.network.graph import Network, TensorSpec
from hwsim.network.pattern import RawNode

__all__ = [
    "from_model",
    "load",
    "raw_nodes",
    "read",
]

_DOMAINS = {"ai.onnx": ""}
_INPUT_TYPES = ("float32", "int64", *CODE_RANGES)


def read(
    path: str | os.PathLike[str], *, batch: int | None = None, dimensions: Mapping[str, int] | None = None
) -> Network:
    """Read an ONNX file.

    Parameters
    ----------
    path : path-like
    batch : int, optional
        Size of a first axis that the file leaves open; 1 unless given. A run may still take any number of images.
    dimensions : mapping of str to int, optional
        Sizes of other axes that the file names but does not fix.

    Returns
    -------
    Network

    Raises
    ------
    FileNotFoundError
        Where the file is not there.
    ValueError
        Where it is not ONNX, not valid, uses operators that are not run (all of them are listed), leaves a size open,
        or lacks its external data.

    Examples
    --------
    >>> network = read("resnet8.onnx")  # doctest: +SKIP
    >>> run(network, {"input": images})  # doctest: +SKIP
    """
    _check_batch(batch)
    file = Path(path)
    model = load(file)
    try:
        return _network(model, batch, dict(dimensions or {}), file.stem)
    except ValueError as error:
        raise ValueError(f"{file}: {_line(error)}") from error.__cause__


def from_model(
    model: onnx.ModelProto, *, batch: int | None = None, dimensions: Mapping[str, int] | None = None
) -> Network:
    """Make a network of an ONNX model in memory, which is left as it is; as `read`, in arguments and errors."""
    _check_batch(batch)
    own = onnx.ModelProto()
    own.CopyFrom(model)
    _import_unsupported(own)
    return _network(_checked(own, "this"), batch, dict(dimensions or {}), "model")


def _check_batch(batch: int | None) -> None:
    """Raise unless batch is None or a positive int."""
    if batch is not None and (isinstance(batch, bool) or not isinstance(batch, int)):
        raise TypeError(f"batch must be an int, not {type(batch).__name__}")
    if batch is not None and batch < 1:
        raise ValueError(f"batch must be at least 1, not {batch}")


def load(file: Path) -> onnx.ModelProto:
    """Parse a file, with its external data, check it, and inline its own functions; the errors are those of `read`."""
    if not file.exists():
        raise FileNotFoundError(f"no such model: {file}")
    if not file.is_file():
        raise ValueError(f"{file} is not a file")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(file.read_bytes())
    except DecodeError:
        raise ValueError(f"{file} is not an ONNX model: it does not parse as protobuf") from None
    if not model.HasField("graph") or not model.ir_version:
        raise ValueError(f"{file} is not an ONNX model: it has no graph or no version")
    _load_external(model, file)
    _import_unsupported(model)
    return _checked(model, str(file))


def _checked(model: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """Return a valid model with its own functions inlined."""
    try:
        onnx.checker.check_model(model)
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        raise ValueError(f"{label} is not a valid ONNX model: {_line(error)}") from None
    return model


def _import_unsupported(model: onnx.ModelProto) -> None:
    """Import the domains of operators that are not run, so that these are listed before the import is missed."""
    imported = {entry.domain for entry in model.opset_import} | {"", *_DOMAINS}
    local = {(function.domain, function.name) for function in model.functions}
    unsupported = {
        node.domain
        for node in model.graph.node
        if (node.domain, node.op_type) not in local and (node.domain, node.op_type) not in BUILDERS
    }
    for domain in sorted(unsupported - imported):
        model.opset_import.append(onnx.helper.make_opsetid(domain, 1))


def _load_external(model: onnx.ModelProto, file: Path) -> None:
    """Load the tensors that are kept in other files beside the model."""
    missing = set()
    for tensor in _tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        if not location or not (file.parent / location).is_file():
            missing.add(f"{location!r} of tensor {tensor.name!r}")
    if missing:
        raise ValueError(f"{file}: external data is missing: {', '.join(sorted(missing))}")
    try:
        onnx.external_data_helper.load_external_data_for_model(model, str(file.parent))
    except (onnx.checker.ValidationError, ValueError, OSError) as error:
        raise ValueError(f"{file}: external data cannot be read: {_line(error)}") from None


def _tensors(message: Message) -> list[onnx.TensorProto]:
    """Every tensor in a message, those of attributes and subgraphs included."""
    if isinstance(message, onnx.TensorProto):
        return [message]
    found = []
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        # protobuf 7 has no `label`: a repeated field iterates, a single message does not
        parts = [value] if isinstance(value, Message) else list(value)
        for part in parts:
            if isinstance(part, Message):
                found += _tensors(part)
    return found


def _network(model: onnx.ModelProto, batch: int | None, dimensions: dict[str, int], name: str) -> Network:
    """Fix the shapes, fold the constants, fuse the patterns."""
    held = {tensor.name for tensor in model.graph.initializer}
    inputs = [info for info in model.graph.input if info.name not in held]
    _fix_shapes(model, inputs, batch, dimensions)
    specs = tuple(_input_spec(info) for info in inputs)
    shapes = _inferred(model)
    nodes, constants = fold(model, shapes)
    _check_supported(nodes)
    opsets = {_DOMAINS.get(entry.domain, entry.domain): entry.version for entry in model.opset_import}
    outputs = tuple(info.name for info in model.graph.output)
    pattern = Fused(raw_nodes(nodes, opsets), constants, specs, outputs)
    layers, tensors = fuse(pattern)
    if not inputs:
        raise ValueError("the graph has no input")
    return Network(
        name=model.graph.name or name,
        layers=layers,
        inputs=specs,
        outputs=tuple(_output_spec(output, tensors, constants) for output in outputs),
        tensors=tensors,
        constants={output: constants[output] for output in outputs if output in constants},
    )


def _fix_shapes(
    model: onnx.ModelProto, inputs: list[onnx.ValueInfoProto], batch: int | None, dimensions: dict[str, int]
) -> None:
    """Give every axis of every input a size, and forget shapes inferred before."""
    sizes = dict(dimensions)
    unknown = []
    for info in inputs:
        if info.type.WhichOneof("value") != "tensor_type" or not info.type.tensor_type.HasField("shape"):
            raise ValueError(f"input {info.name!r} must be a tensor with a known number of axes")
        for axis, dim in enumerate(info.type.tensor_type.shape.dim):
            if dim.WhichOneof("value") == "dim_value":
                if axis == 0 and batch is not None and dim.dim_value != batch:
                    raise ValueError(f"input {info.name!r} has a batch of {dim.dim_value} in the file, not {batch}")
                continue
            if axis == 0 and dim.dim_param not in sizes:
                size = batch or 1
                if dim.dim_param:
                    sizes[dim.dim_param] = size
            elif dim.dim_param in sizes:
                size = sizes[dim.dim_param]
            else:
                unknown.append(f"axis {axis} ({dim.dim_param or 'unnamed'}) of input {info.name!r}")
                continue
            if size < 1:
                raise ValueError(f"dimension {dim.dim_param!r} must be at least 1, not {size}")
            dim.Clear()
            dim.dim_value = size
    if unknown:
        raise ValueError(f"sizes are open: {', '.join(unknown)}; give them by name in `dimensions`")
    for output in model.graph.output:
        for dim in output.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.Clear()
    del model.graph.value_info[:]


def _inferred(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    """Return static shapes as onnx infers them."""
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        raise ValueError(f"shapes do not fit: {_line(error)}") from None
    shapes = {}
    for info in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output):
        tensor = info.type.tensor_type
        if tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim):
            shapes[info.name] = tuple(dim.dim_value for dim in tensor.shape.dim)
    return shapes


def _check_supported(nodes: list[onnx.NodeProto]) -> None:
    """Raise one error that lists every node that no layer runs."""
    wrong = []
    for node in nodes:
        domain = _DOMAINS.get(node.domain, node.domain)
        if (domain, node.op_type) not in BUILDERS:
            label = node.name or (node.output[0] if node.output else "")
            wrong.append(f"{label!r} ({domain + '::' if domain else ''}{node.op_type})")
    if wrong:
        raise ValueError(f"{len(wrong)} node(s) of operators that are not run: {', '.join(wrong)}")


def raw_nodes(nodes: Sequence[onnx.NodeProto], opsets: Mapping[str, int]) -> tuple[RawNode, ...]:
    """Free nodes of protobuf and give each a name of its own."""
    raw = []
    taken: set[str] = set()
    for node in nodes:
        base = node.name or next((name for name in node.output if name), node.op_type)
        name, count = base, 1
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name)
        domain = _DOMAINS.get(node.domain, node.domain)
        raw.append(
            RawNode(
                name=name,
                operator=node.op_type,
                domain=domain,
                opset=opsets.get(domain, 1),
                inputs=tuple(node.input),
                outputs=tuple(node.output),
                attributes={attribute.name: _attribute(attribute) for attribute in node.attribute},
            )
        )
    return tuple(raw)


def _attribute(attribute: onnx.AttributeProto) -> Any:
    """Return an attribute's value; bytes as text, an element type by its name."""
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name == "output_dtype":
        return onnx.TensorProto.DataType.Name(int(value)).lower()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, (int, float)):
        return value
    return list(value) if hasattr(value, "__iter__") else value


def _input_spec(info: onnx.ValueInfoProto) -> TensorSpec:
    """Return the spec of an input whose shape is fixed."""
    tensor = info.type.tensor_type
    shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    code = onnx.TensorProto.DataType.Name(tensor.elem_type)
    dtype = "float32" if code == "FLOAT" else code.lower()
    if dtype not in _INPUT_TYPES:
        raise ValueError(f"input {info.name!r} must be one of {', '.join(_INPUT_TYPES)}, not {dtype}")
    if min(shape, default=1) < 1:
        raise ValueError(f"input {info.name!r} must have positive sizes, not {shape}")
    return TensorSpec(name=info.name, shape=shape, dtype=dtype)


def _output_spec(name: str, tensors: dict[str, TensorSpec], constants: dict[str, Any]) -> TensorSpec:
    """Return the spec of an output."""
    if name in tensors:
        return tensors[name]
    value = np.asarray(constants[name])
    return TensorSpec(name=name, shape=value.shape, dtype=value.dtype.name)


def _line(error: Exception) -> str:
    """Return an error's message on one line, without what is put around it for programmers."""
    parts = [part.strip() for part in str(error).splitlines() if part.strip()]
    return " ".join(part for part in parts if not part.startswith("==>"))[:500] or type(error).__name__
