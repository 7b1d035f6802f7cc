# Everything runs in .venv, made on first use from the pins in constraints.txt.
PYTHON ?= python3
BROKER ?= embedded
EVENTS ?= 1000000
MINUTES ?= 10
ROUNDS ?= 100
SEED ?= 1
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What Sidecart is compared with, and does not need.
PEERS := .venv-bench
PEERS_STAMP := $(PEERS)/.installed

.PHONY: help demo test check unit integration bench drills fuzz soak format clean

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(STAMP) ## Simulated shop, broker and worker at once [BROKER=embedded|kafka] [SECONDS=60]
	@$(BIN)/sidecart demo --broker $(BROKER) $(if $(SECONDS),--seconds $(SECONDS))

test: check unit integration ## Checks and all tests; needs Java 17 and Maven for Apache Kafka

check: $(STAMP) ## Format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(STAMP) ## Tests without a broker of their own, and the doctests
	$(BIN)/pytest -m "not kafka" --doctest-modules models streams tests

integration: $(STAMP) ## Tests on a real Apache Kafka, which they start
	$(BIN)/pytest -m kafka

bench: $(STAMP) $(PEERS_STAMP) ## Speed and latency beside other systems on Apache Kafka [QUICK=1] [RUNS=3] [JSON=FILE] [PLOT=FILE]
	@$(BIN)/sidecart bench $(if $(QUICK),--quick) $(if $(RUNS),--runs $(RUNS)) $(if $(JSON),--json $(JSON)) $(if $(PLOT),--plot $(PLOT))

drills: $(STAMP) ## Accidents under load, everything counted again after each [ROUNDS=100] [SEED=1]
	@$(BIN)/python tests/drills/run.py --rounds $(ROUNDS) --seed $(SEED)

fuzz: $(STAMP) ## Mutated events through the door, then through all stages [EVENTS=1000000] [SEED=1]
	@$(BIN)/python tests/fuzz/run_fuzz.py --events $(EVENTS) --seed $(SEED)

soak: $(STAMP) ## Endless new sessions and items: memory stays flat [MINUTES=10] [PLOT=soak.png]
	@$(BIN)/python tests/soak/run_soak.py --minutes $(MINUTES) $(if $(PLOT),--plot $(PLOT))

format: $(STAMP) ## Format and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove what was made: environment, caches, local state
	rm -rf $(VENV) $(PEERS) .sidecart deploy/kafka/target .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis *.egg-info build

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Sidecart needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

$(PEERS_STAMP): tests/bench/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check -r tests/bench/peers/requirements.txt
	@touch $@
