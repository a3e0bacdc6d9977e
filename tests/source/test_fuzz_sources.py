"""Whatever a file holds, reading it gives a Source or a SourceError."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tf2ms.errors import SourceError
from tf2ms.source import Source, infer_shapes, read_source

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FORMS = ["graph_shapes.pb", "graph.pbtxt", "robonet.meta", "text.meta", "events", "saved_model.pb"]


def read(path, content):
    path.write_bytes(content)
    with contextlib.suppress(SourceError):
        source = read_source(path)
        assert isinstance(source, Source) and source.graph_def.node
        return source
    return None


@pytest.fixture(scope="module")
def contents(exports):
    """A small file of each form: the whole ones would make the text slow to read so often."""
    log = next((exports / "logs/train").iterdir())
    paths = [log if name == "events" else exports / name for name in FORMS[:-1]] + [exports / "saved1/saved_model.pb"]
    return {name: path.read_bytes() for name, path in zip(FORMS, paths, strict=True)}


@FUZZ
@given(st.binary(max_size=300))
def test_random_bytes(tmp_path, content):
    read(tmp_path / "graph.pb", content)


@FUZZ
@given(st.text(alphabet='node{}:"name op attr key value \n\\123#[]<>,;', max_size=200))
def test_random_text(tmp_path, content):
    read(tmp_path / "graph.pbtxt", ("node {" + content).encode())


@pytest.mark.parametrize("form", FORMS)
def test_truncated(tmp_path, contents, form):
    content = contents[form]
    sizes = {*range(40), *range(0, len(content), max(1, len(content) // 15)), len(content) - 1}
    for size in sorted(sizes):
        read(tmp_path / "graph", content[:size])


@pytest.mark.parametrize("form", FORMS)
@settings(FUZZ, max_examples=25)
@given(data=st.data())
def test_flipped_bits(tmp_path, contents, form, data):
    content = bytearray(contents[form])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    source = read(tmp_path / "graph", bytes(content))
    if source is not None and form == "graph_shapes.pb":
        infer_shapes(source.graph_def)


@settings(FUZZ, max_examples=15)
@given(data=st.data())
def test_inference_of_damaged_graphs(tf, tmp_path, contents, data):
    """TensorFlow infers, or refuses with a SourceError, what is left of a graph after bits flipped in it."""
    content = bytearray(contents["graph_shapes.pb"])
    for _ in range(data.draw(st.integers(1, 20))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    source = read(tmp_path / "graph", bytes(content))
    if source is not None:
        for node in source.graph_def.node:
            node.attr.pop("_output_shapes", None)
        with contextlib.suppress(SourceError):
            infer_shapes(source.graph_def)
