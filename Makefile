# Every target makes its own environment first; `make help` lists them.
VENV ?= .venv
# The interpreter for a new environment; when empty, a fitting one is looked for.
PYTHON ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# One thread a process: pytest-xdist already keeps every core busy. Work is stolen, not dealt out:
# a process keeps to tests that lie together, and what they share is made once. Commands that tests
# start take half a second less where the code is compiled once.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 KERAS_BACKEND=torch \
	$(BIN)/python -m pytest -n auto --dist worksteal
run_all = @set -e; for script in $(sort $(wildcard $(1)/[!_]*.py)); do \
	echo "== $$script"; KERAS_BACKEND=torch $(BIN)/python "$$script"; done

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast lint types fmt examples picture bench check

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make the environment in .venv, or bring it up to date
	@echo "$(VENV) is ready"

demo: $(READY) ## the whole job on made-up data
	@$(BIN)/goodnet demo

test: lint types ## all that CI runs: lint, types, tests and doctests
	@$(PYTEST) -m "not long"

test-fast: $(READY) ## the tests without the slow ones
	@$(PYTEST) -m "not slow and not long"

lint: $(READY) ## ruff: rules and format
	@$(BIN)/python -m ruff check
	@$(BIN)/python -m ruff format --check

types: $(READY) ## mypy --strict
	@$(BIN)/python -m mypy

fmt: $(READY) ## format the code and mend what ruff can mend
	@$(BIN)/python -m ruff check --fix-only --quiet
	@$(BIN)/python -m ruff format

examples: $(READY) ## run every script in examples/
	$(call run_all,examples)

picture: demo ## the README's picture of a report, from the demo
	@$(BIN)/python docs/picture.py goodnet-demo/cured/report.html docs/report.png

bench: $(READY) ## run every script in benchmarks/: one table for each claim
	$(call run_all,benchmarks)

check: lint types examples demo ## everything there is to check before a release
	@$(PYTEST)

# The environment runs the code of the folder it was made in: a copied or moved one makes its own.
ifneq ($(CURDIR),$(shell cat "$(READY)" 2>/dev/null))
.PHONY: $(READY)
endif
$(READY): pyproject.toml constraints.txt
	@.ci/environment "$(VENV)" $(PYTHON)
