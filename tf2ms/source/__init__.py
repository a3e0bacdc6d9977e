"""Reading what a TensorFlow user has: graphs, shapes and weights."""

from tf2ms.source.graphs import Source, read_source
from tf2ms.source.matching import matched
from tf2ms.source.shapes import Shape, Shapes, has_shapes, infer_shapes
from tf2ms.source.weights import Weights, read_weights

__all__ = [
    "Shape",
    "Shapes",
    "Source",
    "Weights",
    "has_shapes",
    "infer_shapes",
    "matched",
    "read_source",
    "read_weights",
]
