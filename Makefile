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

demo: $(READY)  ## PoseNet from a TensorBoard log to a MindSpore script that trains on the CPU
	rm -rf out
	$(BIN)/python -m reference_tf export -o out/tf
	$(BIN)/python -m reference_tf data --synthetic 300 -o out/scene
	$(BIN)/python -m reference_tf data --cambridge out/scene -o out/data --columns images,target_xyz,target_wpqr
	$(BIN)/tf2ms inspect out/tf/logs
	$(BIN)/tf2ms convert out/tf/logs -o out/ms --name PoseNet --checkpoint out/tf/posenet.ckpt
	cd out/ms && ../../$(BIN)/python posenet_ms.py --device-target CPU --data ../data/train.mindrecord \
		--checkpoint posenet.ckpt --batch-size 8 --epochs 4
	cd out/ms && ../../$(BIN)/python posenet_ms.py --device-target CPU --data ../data/test.npz --batch-size 8 \
		--checkpoint "$$(ls -t checkpoints/*.ckpt | head -1)" --predict predictions.npz
	$(BIN)/python -m reference_tf evaluate --data out/data/test.npz --predictions out/ms/predictions.npz
	@echo
	@echo "Done: read out/ms/posenet_ms.py, made from the TensorBoard log out/tf/logs and trained as shown above."

lint: $(READY)  ## ruff (lint, format) and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.torch: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 torchvision==0.28.0
	@touch $@

test: lint $(VENV)/.torch  ## everything that must stay true
	$(BIN)/python -m pytest -n 2 --dist loadfile

lock:  ## pin the dependencies anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.10 --extra dev --no-header --no-annotate pyproject.toml -o requirements.lock

clean:  ## remove what the targets made
	rm -rf $(VENV) out build dist
