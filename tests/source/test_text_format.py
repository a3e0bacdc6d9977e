from __future__ import annotations

import random

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.meta_graph_pb2 import MetaGraphDef

from tf2ms.source import text
from tf2ms.source.text import parse_text


def test_exports_take_the_quick_way(exports, module_export):
    for name, kind in (("graph.pbtxt", GraphDef), ("graph_shapes.pbtxt", GraphDef), ("text.meta", MetaGraphDef)):
        content = (exports / name).read_text()
        assert text._parse_dialect(content, kind()) == text_format.Parse(content, kind())


NODE = 'node {{ name: "x" op: "Const" attr {{ key: "a" value {{ {} }} }} }}'

SPELLINGS = [
    "",
    "# a comment\n",
    *(
        NODE.format(value)
        for value in (
            "i: 3 ",
            "i: -3",
            "i: 0x10",
            "i: 010",
            "i: +3",
            "i: 1_000",
            "i: 9223372036854775807",
            "i: 9223372036854775808",
            "f: 1e-8",
            "f: 1.5f",
            "f: .5",
            "f: 5.",
            "f: inf",
            "f: -nan",
            "f: 1e60",
            "b: true",
            "b: True",
            "b: 1",
            "type: DT_FLOAT",
            "type: 1",
            "type: DT_NEVER",
            's: ""',
            r's: "\000\377\n\"\\ \x41é"',
            's: "a" "b"',
            "s: 'a'",
            r's: "\8"',
            's: "a',
            "s: a",
            "shape { }",
            "shape { dim { size: -1 } dim { size: 3 } unknown_rank: true }",
            "shape: { dim: { size: 2 } }",
            "shape < dim < size: 2 > >",
            "list { i: 1 i: 2 }",
            "list { i: [1, 2] }",
            "list { i: 1, i: 2; }",
            "list { shape { } shape { dim { size: 1 } } }",
            "i: 3 i: 4",
            "i: 3 f: 4.0",
            "list { } list { }",
            "func { name: 'f' attr { key: 'T' value { type: DT_HALF } } }",
            "i { }",
            "list: 3",
            "i: {",
            "tensor { dtype: DT_FLOAT tensor_shape { } float_val: 0.1 float_val: 1e-40 }",
            "tensor { dtype: DT_STRING string_val: 'x' half_val: 3 }",
            "}",
        )
    ),
    'node { name: "x" name: "y" }',
    'node { name: "x" op: "y" } versions { producer: 3 } versions { producer: 4 }',
    'node { name: "\\346\\227\\245" }',
    'node { name: "\\377" }',
    'node { attr { value { i: 3 } key: "a" } }',
    'node { attr { key: "a" } }',
    'node { attr { key: "a" value { i: 3 } } attr { key: "a" value { f: 3 } } }',
    'node { attr { key: "a" value { i: 3 } key: "b" } }',
    "node { attr { key: 3 value { i: 3 } } }",
    'node { attr { key: "a" value: 3 } }',
    "node { attr { } }",
    "node { ",
    "node { } }",
    "node { } x",
    "node: 3",
    "no_such: 3",
    "123",
    'library { function { signature { name: "f" } ret { key: "y" value: "x:0" } } }',
    'library { function { arg_attr { key: 1 value { attr { key: "a" value { i: 1 } } } } } }',
    "library { function { resource_arg_unique_id { key: 1 value: 2 } } }",
    "library { function { resource_arg_unique_id { key: 1 value: 2 } resource_arg_unique_id { key: 1 value: 3 } } }",
]


def outcome(parse, content):
    try:
        return parse(content)
    except text_format.ParseError:
        return "refused"


@pytest.mark.parametrize("content", SPELLINGS)
def test_same_as_protobuf(content):
    expected = outcome(lambda text: text_format.Parse(text, GraphDef()), content)
    assert repr(outcome(lambda text: parse_text(text, GraphDef), content)) == repr(expected)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_edited_text_is_read_as_protobuf_reads_it(seed):
    """A few characters replaced, removed or doubled in what TensorFlow writes."""
    rng = random.Random(seed)
    content = list(str(text_format.Parse(" ".join(SPELLINGS[i] for i in (2, 8, 19, 31)), GraphDef())))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(content))
        content[at : at + rng.randint(0, 2)] = rng.choice(['"', "{", "}", ":", "\n", "1", "x", "\\", " ", "", "#", ";"])
    expected = outcome(lambda text: text_format.Parse(text, GraphDef()), "".join(content))
    assert repr(outcome(lambda text: parse_text(text, GraphDef), "".join(content))) == repr(expected)


def test_long_escaped_strings():
    graph_def = GraphDef(node=[{"name": "x", "op": "Const"}])
    graph_def.node[0].attr["value"].tensor.tensor_content = bytes(range(256)) * 4000
    assert parse_text(text_format.MessageToString(graph_def), GraphDef) == graph_def
