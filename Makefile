# Thin on purpose: every tool keeps its settings in pyproject.toml and runs bare.
# Needs Python 3.11 or newer, git and make; the rest goes into .venv, once.

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed

# The first interpreter that is new enough; `make PYTHON=…` names another.
ifeq ($(origin PYTHON), undefined)
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; done)
endif

# The peers of `make bench`: all, none, or some of them by name with commas.
PEERS ?= all

.DEFAULT_GOAL := help
.PHONY: help demo test check bench install clean

help:
	@echo "make demo    a workflow of Python, a thread and bash nodes, with a parallel step"
	@echo "make test    every test"
	@echo "make check   style, types and boundaries"
	@echo "make bench   the same work on nodeling and on its peers (PEERS=none: without them)"

demo: $(STAMP)
	@$(BIN)/python examples/quickstart/demo.py

test: $(STAMP)
	$(BIN)/python -m pytest

check: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m benchmarks compare --peers "$(PEERS)" --json build/bench/figures.json

install: $(STAMP)

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer was found; name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV) with $(PYTHON)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "installing nodeling and its tools into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
