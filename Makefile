# `make demo` and `make test` set up everything they need; nothing else has to be installed by hand.
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.10,$(shell command -v python$(v) 2>/dev/null)) python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench lock clean help

help:  ## show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

lint: $(READY)  ## ruff (lint, format) and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint  ## everything that must stay true
	$(BIN)/python -m pytest -n 2 --dist loadfile

lock:  ## pin the dependencies anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.10 --extra dev --no-header --no-annotate pyproject.toml -o requirements.lock

clean:  ## remove what the targets made
	rm -rf $(VENV) out build dist
