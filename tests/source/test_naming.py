from pathlib import Path

import pytest

from tf2ms.source.naming import suggested_name


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("posenet.meta", "posenet"),
        ("posenet.ckpt-30000.meta", "posenet"),
        ("a/model.ckpt-30000.meta", "a"),
        ("PoseNet/graph.pbtxt", "PoseNet"),
        ("PoseNet/logs", "PoseNet"),
        ("PoseNet/events.out.tfevents.1795467671.vm", "PoseNet"),
        ("resnet-50.pb", "resnet-50"),
        ("frozen_inference_graph.pb", None),
        ("saved_model.pb", None),
        ("./graph.pb", None),
        ("../graph.pb", None),
        ("/tmp/graph.pb", None),
        ("tmp8qz1/graph_shapes.pb", None),
        ("logs/train", None),
        ("model2.pb", None),
        ("", None),
        ("/", None),
    ],
)
def test_suggested_name(path, name):
    assert suggested_name(Path(path)) == name
