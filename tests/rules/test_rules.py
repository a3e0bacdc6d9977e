"""Every row of the rule table against TensorFlow, through the public path."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from harness import assert_parity, variants

TABLES = sorted(path.stem for path in Path(__file__).parent.glob("cases_*.py"))
CASES = [item for table in TABLES for item in importlib.import_module(table).CASES]
RUNS = [pytest.param(item, variant, id=f"{item}-{variant}") for item in CASES for variant in variants(item)]


@pytest.mark.parametrize(("item", "variant"), RUNS)
def test_same_as_tensorflow(item, variant):
    assert_parity(item, variant)
