# Everything that a developer, CI or a curious visitor runs. `make` alone lists the targets.
# Works from any folder by `make -C`; the virtual environment is .venv beside this file.

PYTHON ?= $(shell infra/choose_python.sh)
# Where the demo keeps its data, mount and servers' logs: outside the clone.
DEMO_STATE ?= $(or $(XDG_STATE_HOME),$(HOME)/.local/state)/layoutlift-demo
# One more than the cores of a small machine: the tests wait a third of their time, for servers, mounts and clocks.
PYTEST_WORKERS ?= 3
PYTEST_ARGS ?=
FUZZ_SECONDS ?= 60

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Wheels alone: what a source is built with is in no lock.
HASHED := --only-binary :all: --require-hashes
LOCKED := $(HASHED) -r requirements/dev.txt
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
UV := $(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --compile-bytecode
COMPILE := $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: python
python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "layoutlift needs Python 3.11 or later, and '$(PYTHON)' is not: make install PYTHON=python3.12, for example" >&2; exit 1; }

.PHONY: install
install: $(INSTALLED) ## set up .venv with the locked packages and the layoutlift command

$(INSTALLED): requirements/dev.txt requirements/build.txt pyproject.toml | python
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || infra/install_system_packages.sh ensurepip:python3-venv
	$(PYTHON) -m venv $(VENV)
	$(PIP) --no-deps $(HASHED) -r <(sed -n '/^uv==/,/# via/p' requirements/dev.txt)
	@# uv installs in a tenth of the time; only pip knows of a package index that pip was told of.
	@$(BIN)/pip config list | grep index >/dev/null || { echo '$(UV) $(LOCKED)'; $(UV) $(LOCKED); } || \
	  echo "uv could not install the packages: pip does it, which takes some minutes" >&2
	$(PIP) --no-deps $(LOCKED)
	$(PIP) --no-deps $(HASHED) -r requirements/build.txt
	$(PIP) --no-deps --no-index --no-build-isolation -e .
	@touch $@

.PHONY: tools
tools: python ## build oras, distribution, toxiproxy and compose-go once into a cache (needs Go)
	@$(PYTHON) -m infra.install_tools

.PHONY: system-packages
system-packages: ## install s3fs, fuse3, skopeo, docker-registry and systemd (as root, where apt is)
	@infra/install_system_packages.sh

.PHONY: lint
lint: install ## check style, format and the layer rule
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

.PHONY: types
types: install ## check types
	$(BIN)/mypy -p flows -p tasks -p infra -m tests.support.memory_stores -m tests.support.memory_files

.PHONY: test
test: ## set up everything, then lint, types and all tests but the long ones
	@$(MAKE) --no-print-directory -j$(PYTEST_WORKERS) install tools system-packages lint types
	$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal -m 'not soak and not operations' $(PYTEST_ARGS)

.PHONY: test-unit
test-unit: install ## the tests that need no real part
	$(BIN)/pytest tests/unit $(PYTEST_ARGS)

.PHONY: test-faults
test-faults: install tools system-packages ## every promise under every fault, the long trials among them
	$(BIN)/pytest tests/faults $(PYTEST_ARGS)

.PHONY: fuzz
fuzz: install ## look for bytes that break a parser, for FUZZ_SECONDS (60)
	@$(BIN)/python -m tests.fuzz $(FUZZ_SECONDS)

.PHONY: test-operations
test-operations: install tools system-packages ## the dashboard in a browser, deployed runs, many runs at once on PostgreSQL
	@infra/install_system_packages.sh pg_createcluster:postgresql chromium:chromium
	$(BIN)/pytest -m operations $(PYTEST_ARGS)

.PHONY: soak
soak: install tools system-packages ## the tests that take long
	$(BIN)/pytest -m soak $(PYTEST_ARGS)

.PHONY: bench-tools
bench-tools: install tools system-packages
	@$(PYTHON) -m infra.install_tools crane regctl regsync

.PHONY: bench
bench: bench-tools ## measure layoutlift and its peers side by side, at most 90 minutes (BENCH_ARGS=--fresh)
	@$(BIN)/python -m tests.benchmarks $(BENCH_ARGS)

.PHONY: bench-quick
bench-quick: bench-tools ## the same with few peers, workloads and rounds, in under six minutes
	@$(BIN)/python -m tests.benchmarks --quick $(BENCH_ARGS)

.PHONY: bench-profile
bench-profile: bench-tools ## where layoutlift's own time goes when it copies small images
	@$(BIN)/python -m tests.benchmarks.profile_small $(BENCH_ARGS)

.PHONY: simulate
simulate: install ## how far sharded migrations scale, by a model (SIMULATE_ARGS=--measure feeds it anew)
	@$(BIN)/python -m tests.benchmarks.simulate $(SIMULATE_ARGS)

.PHONY: bench-native
bench-native: install system-packages ## migrate one bucket natively and through s3fs, by turns
	@$(BIN)/python -m tests.benchmarks.native_source $(BENCH_ARGS)

.PHONY: benchmark
benchmark: install tools system-packages ## what pulling through mounts costs, on SeaweedFS (BENCHMARK_ARGS=--sizes=... or FULL=1)
	@PATH="$$($(BIN)/python -m infra.tool_path):$$PATH" $(BIN)/layoutlift benchmark run local \
	  $(if $(FULL),,--quick) --standalone --out build/benchmark/latest $(BENCHMARK_ARGS)

.PHONY: demo
demo: install system-packages ## the main job on real parts: bucket, s3fs mount, registry, dashboard
	@$(BIN)/python -m infra.install_tools oras
	@$(BIN)/python -m infra.demo start --state '$(DEMO_STATE)'

.PHONY: demo-stop
demo-stop: ## unmount and end what the demo left running, and remove its data
	@$(or $(wildcard $(BIN)/python),$(PYTHON)) -m infra.demo stop --state '$(DEMO_STATE)'

.PHONY: schemas
schemas: install ## write the JSON schemas of the files anew, after a change to their models
	$(BIN)/layoutlift validate --schema --kind migration > docs/schemas/migration-1.json
	$(BIN)/layoutlift validate --schema --kind policy > docs/schemas/policy-1.json

.PHONY: up
up: ## keep a Prefect server, a worker and the deployments running; prints the dashboard's address
	@$(MAKE) --silent install >&2
	@$(BIN)/python -m infra.operations up

.PHONY: down
down: ## end them; their history stays
	@$(MAKE) --silent install >&2
	@$(BIN)/python -m infra.operations down

.PHONY: lock
lock: install ## pin the packages anew, with hashes, from pyproject.toml
	$(COMPILE) pyproject.toml -o requirements/runtime.txt
	$(COMPILE) pyproject.toml --all-extras --group dev -o requirements/dev.txt
	$(COMPILE) requirements/build.in -o requirements/build.txt
	$(COMPILE) requirements/awscli.in -o tasks/stores/benchmark/awscli.txt

.PHONY: upgrade
upgrade: COMPILE += --upgrade
upgrade: lock ## as lock, at the newest versions that pyproject.toml allows

.PHONY: docs
docs: install ## write docs/commands.md anew, after a change to a command or its options
	$(BIN)/python -m infra.command_reference

.PHONY: clean
clean: ## remove what was built here (not the demo: demo-stop does that)
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
