# Two targets do everything: `make lab` to work, `make test` to check. Python 3.10 to 3.12 and make suffice;
# `make test-kubernetes` and the tests of the Terraform modules need Go and Terraform as well.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.10 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
LAB_FLAGS ?=

# A virtual environment that happens to be active is not this one.
unexport VIRTUAL_ENV

.PHONY: lab test tools test-kubernetes tour bench docs check format clean down

lab: $(VENV)/.local
	$(BIN)/sdp lab notebooks/tour.ipynb $(LAB_FLAGS)

# Two files at a time, each worker with a stack of its own; the integration tests, which are the longest, first.
test: $(VENV)/.test check
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not kubernetes'

# Builds what tests need with Go, once: an API server, etcd, the Terraform provider.
tools: $(VENV)/.test
	$(BIN)/python -m tests.tools

test-kubernetes: tools
	$(BIN)/python -m pytest -m kubernetes tests/kubernetes

tour: $(VENV)/.test
	$(BIN)/python -m tests.tour

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks $(ONLY)

docs: $(VENV)/.test
	$(BIN)/python -m tests.module_docs

check: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.test
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

down:
	-$(BIN)/sdp down

clean: down
	rm -rf $(VENV) .sdp

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.local: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[local]'
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[local,kubernetes,test]'
	touch $(VENV)/.local $@
