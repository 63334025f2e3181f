# `make demo` and `make test` do all the set-up themselves on a machine that has python3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
DEMO := build/demo

.PHONY: demo test test-all chaos clients lint bench bench-peers model clean help

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.cpu: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[cpu]'
	@touch $@

$(VENV)/.dev: $(VENV)/.cpu
	$(PIP) torch==2.13.0
	$(PIP) -e '.[cpu,train,dev]'
	@touch $@

demo: $(VENV)/.cpu ## the main job on a synthetic market: no account, no key, no download
	$(BIN)/gpi doctor --warm
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh $(DEMO)

test: $(VENV)/.dev ## the whole suite, then once more with the JIT off
	$(BIN)/gpi doctor --warm
	$(BIN)/python -m pytest -n 2 tests
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -n 2 tests -m 'not jit'

test-all: test ## also the long forms
	GPI_LONG=1 $(BIN)/python -m pytest -n 2 tests
	$(BIN)/python -m gpi.cli.main chaos --short --draw

chaos: $(VENV)/.dev ## the fault suite in full, against the real commands: about an hour and a half; the table in build/chaos.md
	@mkdir -p build
	$(BIN)/python -m gpi.cli.main chaos --seed 1 --out build/chaos.md --out build/chaos.json

lint: $(VENV)/.dev ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## every published figure, as ratios measured in one run
	$(BIN)/python -m bench

build/peers/.done: bench/peers.txt
	$(PYTHON) -m venv build/peers
	build/peers/bin/pip install --quiet --disable-pip-version-check -r bench/peers.txt
	@touch $@

bench-peers: build/peers/.done ## the systems that the races run against, in a virtual environment of their own

build/clients/node_modules/.done: tests/clients/package.json
	mkdir -p build/clients
	cp tests/clients/package.json build/clients/
	cd build/clients && npm install --silent --ignore-scripts --no-audit --no-fund
	@touch $@

build/clients/%/.done: tests/clients/%.txt
	$(PYTHON) -m venv build/clients/$*
	build/clients/$*/bin/pip install --quiet --disable-pip-version-check --prefer-binary -r $<
	@touch $@

clients: $(VENV)/.dev build/clients/node_modules/.done build/clients/alpaca_trade_api/.done build/clients/alpaca_mcp_server/.done build/clients/lumibot/.done ## clients that others wrote, from npm and PyPI (3 GB in build/clients), run against the venue
	$(BIN)/gpi doctor --warm
	$(BIN)/python -m pytest tests/test_clients.py

model: $(VENV)/.dev ## make the shipped encoder again, from the synthetic market
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/train_shipped_model.sh

clean: ## remove what was built
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
