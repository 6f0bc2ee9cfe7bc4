"""Make a Moonshine decoder that also tells where it looked: `decoder_with_attention.onnx`. Runs when models are
installed.

The published decoder is in ONNX Runtime's own format and gives only tokens. Its graph is read with the schema
that ONNX Runtime brings along and written as ONNX with one output more for each layer: the probabilities of the
attention to the audio, from which the times of words follow. Weights and arithmetic stay as they are. The same
input gives the same bytes.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import onnx
from onnxruntime.tools.ort_format_model.ort_flatbuffers_py.fbs import (  # type: ignore[import-untyped]
    InferenceSession,
    TensorTypeAndShape,
)

Attribute = onnx.AttributeProto

IR_VERSION_MAX: Final = 10
"""What the oldest allowed ONNX Runtime reads."""


def add_attention(source: Path, target: Path) -> None:
    """Read the decoder in ONNX Runtime's format, write it with its attention as ONNX."""
    file = InferenceSession.InferenceSession.GetRootAsInferenceSession(source.read_bytes(), 0)
    model = file.Model()
    graph = _graph(model.Graph())
    _publish_attention(graph)
    opsets = [
        onnx.helper.make_opsetid(_text(each.Domain()), each.Version()) for each in _list(model, "OpsetImport")
    ]
    made = onnx.helper.make_model(
        graph, opset_imports=opsets, producer_name="routeraudio, from moonshine-voice 0.0.73"
    )
    made.ir_version = min(model.IrVersion(), IR_VERSION_MAX)
    target.write_bytes(made.SerializeToString(deterministic=True))


def _publish_attention(graph: onnx.GraphProto) -> None:
    """Give what each layer's attention to the audio computes as outputs, through both branches of the cache."""
    (choice,) = (node for node in graph.node if node.op_type == "If")
    layers = 0
    for branch in choice.attribute:
        looks = sorted(
            (n for n in branch.g.node if n.op_type == "Softmax" and "encoder_attn" in n.name), key=_layer
        )
        layers = len(looks)
        for layer, look in enumerate(looks):
            name = f"cross.{layer}.{branch.name}"
            branch.g.node.add().CopyFrom(onnx.helper.make_node("Identity", [look.output[0]], [name]))
            branch.g.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    for layer in range(layers):
        name = f"cross_attentions.{layer}"
        choice.output.append(name)
        shape = ["b", "h", "t", "s"]
        graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))


def _layer(node: onnx.NodeProto) -> int:
    found = re.search(r"layers\.(\d+)", node.name)
    assert found is not None, node.name
    return int(found[1])


# From ONNX Runtime's format to ONNX, type by type.


def _graph(source: Any) -> onnx.GraphProto:
    graph = onnx.GraphProto(name="g")
    values = {_text(each.Name()): each for each in _list(source, "NodeArgs")}
    graph.initializer.extend(_tensor(each) for each in _list(source, "Initializers"))
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [_text(name) for name in _list(source, "Inputs")]
    graph.input.extend(_value(values[name]) for name in inputs if name not in constants)
    graph.output.extend(_value(values[_text(name)]) for name in _list(source, "Outputs"))
    graph.node.extend(_ordered([_node(each) for each in _list(source, "Nodes")]))
    return graph


def _node(source: Any) -> onnx.NodeProto:
    node = onnx.NodeProto(
        name=_text(source.Name()), op_type=_text(source.OpType()), domain=_text(source.Domain())
    )
    node.input.extend(_text(name) for name in _list(source, "Inputs"))
    node.output.extend(_text(name) for name in _list(source, "Outputs"))
    node.attribute.extend(_attribute(each) for each in _list(source, "Attributes"))
    return node


def _attribute(source: Any) -> Attribute:
    made = Attribute(name=_text(source.Name()), type=source.Type())
    match source.Type():
        case Attribute.FLOAT:
            made.f = source.F()
        case Attribute.INT:
            made.i = source.I()
        case Attribute.STRING:
            made.s = source.S() or b""
        case Attribute.TENSOR:
            made.t.CopyFrom(_tensor(source.T()))
        case Attribute.GRAPH:
            made.g.CopyFrom(_graph(source.G()))
        case Attribute.FLOATS:
            made.floats.extend(_list(source, "Floats"))
        case Attribute.INTS:
            made.ints.extend(_list(source, "Ints"))
        case Attribute.STRINGS:
            made.strings.extend(_list(source, "Strings"))
        case other:
            raise ValueError(f"a decoder with attributes of type {other} is none that we know")
    return made


def _tensor(source: Any) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name=_text(source.Name()), data_type=source.DataType())
    tensor.dims.extend(_list(source, "Dims"))
    if source.StringDataLength():
        tensor.string_data.extend(_list(source, "StringData"))
    else:
        tensor.raw_data = source.RawDataAsNumpy().tobytes() if source.RawDataLength() else b""
    return tensor


def _value(source: Any) -> onnx.ValueInfoProto:
    kind = source.Type()
    if kind is None or kind.Value() is None:
        return onnx.ValueInfoProto(name=_text(source.Name()))
    table = kind.Value()
    tensor = TensorTypeAndShape.TensorTypeAndShape()
    tensor.Init(table.Bytes, table.Pos)
    shape = tensor.Shape()
    sizes = None if shape is None else [_size(each.Value()) for each in _list(shape, "Dim")]
    return onnx.helper.make_tensor_value_info(_text(source.Name()), tensor.ElemType(), sizes)


def _size(value: Any) -> int | str | None:
    if value is None:
        return None
    return int(value.DimValue()) if value.DimType() == 1 else (_text(value.DimParam()) or None)


def _ordered(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Each node behind those whose values it takes; the file keeps them in no such order."""
    made_here = {name for node in nodes for name in node.output if name}
    waiting = [(node, _taken(node) & made_here) for node in nodes]
    ordered: list[onnx.NodeProto] = []
    made: set[str] = set()
    while waiting:
        later = []
        for node, taken in waiting:
            if taken <= made:
                ordered.append(node)
                made.update(node.output)
            else:
                later.append((node, taken))
        assert len(later) < len(waiting), "a graph with a circle"
        waiting = later
    return ordered


def _taken(node: onnx.NodeProto) -> set[str]:
    """Values a node takes from around it, also by the graphs inside it."""
    taken = set(node.input)
    for attribute in node.attribute:
        if attribute.type == Attribute.GRAPH:
            made_inside = {name for inner in attribute.g.node for name in inner.output}
            for inner in attribute.g.node:
                taken |= _taken(inner) - made_inside
    return taken


def _list(source: Any, name: str) -> Iterator[Any]:
    """A vector of the format's tables, whose readers are `Name(index)` and `NameLength()`."""
    read = getattr(source, name)
    return (read(index) for index in range(getattr(source, f"{name}Length")()))


def _text(data: bytes | None) -> str:
    return (data or b"").decode()
