"""Functions with conditions and loops, converted through the public path and compared with TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

import tf2ms
from tf2ms.verify.runner import load_network, network_inputs

v1 = tf.compat.v1
Build = Callable[[], tuple[Sequence[Any], Sequence[Any]]]


class Run:
    """A conversion beside the graph that it was made of."""

    def __init__(self, conversion: Any, feeds: dict[str, np.ndarray], wanted: Sequence[np.ndarray]):
        self.conversion, self.feeds, self.wanted = conversion, feeds, wanted

    @property
    def code(self) -> str:
        """The network's class."""
        code = self.conversion.code
        return code[code.index("\nclass ") : code.index("def create_network")]

    def differs(self, mode: str = "pynative") -> float:
        """The largest difference of any output, relative to that output's largest value."""
        found = self.conversion.run(self.feeds, mode)
        assert [item.shape for item in found] == [np.shape(item) for item in self.wanted]
        return max(distance(a, b) for a, b in zip(found, self.wanted, strict=True))

    def gradient(self) -> list[np.ndarray]:
        """Of the sum of the first output, with respect to each float input."""
        import mindspore as ms

        network = load_network(self.conversion)
        inputs = network_inputs(self.conversion, self.feeds)
        places = tuple(index for index, item in enumerate(inputs) if item.dtype == ms.float32)

        def total(*tensors: Any) -> Any:
            outputs = network(*tensors)
            return (outputs[0] if isinstance(outputs, tuple) else outputs).sum()

        found = ms.grad(total, places)(*inputs)
        return [item.asnumpy() for item in (found if isinstance(found, tuple) else (found,))]


def distance(a: np.ndarray, b: np.ndarray) -> float:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-12)) if a.size else 0.0


def functional(function: Callable[..., Any], *arrays: np.ndarray, lowered: bool = False, **options: Any) -> Run:
    """TensorFlow 2's graph of the function: If and While with a library, or, `lowered`, Switch and Merge."""
    specs = options.pop("specs", None) or [tf.TensorSpec(np.shape(a), np.asarray(a).dtype) for a in arrays]
    concrete = tf.function(function).get_concrete_function(*specs)
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=lowered)
    wanted = [item.numpy() for item in tf.nest.flatten(concrete(*map(tf.constant, arrays)))]
    graph_def = frozen.graph.as_graph_def()
    conversion = tf2ms.convert(graph_def, outputs=[tensor.name for tensor in frozen.outputs], **options)
    names = [tensor.name for tensor in frozen.inputs]
    return Run(conversion, dict(zip(names, arrays, strict=True)), wanted)


def frames(build: Build, *arrays: np.ndarray, **options: Any) -> Run:
    """TensorFlow 1's graph, with Switch, Merge and frames: `build` gives (placeholders, outputs)."""
    enabled = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
            v1.set_random_seed(3)
            inputs, outputs = build()
            session.run(v1.global_variables_initializer())
            wanted = session.run(list(outputs), dict(zip(inputs, arrays, strict=True)))
            names = [tensor.op.name for tensor in outputs]
            graph_def = v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), names)
    finally:
        if enabled:
            v1.enable_control_flow_v2()
    conversion = tf2ms.convert(graph_def, outputs=[tensor.name for tensor in outputs], **options)
    return Run(conversion, {tensor.name: array for tensor, array in zip(inputs, arrays, strict=True)}, wanted)
