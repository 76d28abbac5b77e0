# Everything a person or CI does here; `make help` lists it. Each target sets up what it needs first.
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
# Images of Python switch this on for what runs once. Here, every process of the tests would compile all its modules anew.
unexport PYTHONDONTWRITEBYTECODE
# Tests wait for a third of their time, so three workers keep two cores busy. Each takes a third of the files, with what a
# file's tests share, and one that is done takes over half of what another has left.
JOBS ?= 3
XDIST := -n $(JOBS) --dist worksteal

.PHONY: run
run: setup ## Start the key sidecar and the registry on this machine (Ctrl-C stops both)
	@CODEVECTOR_BUILD="$${CODEVECTOR_BUILD:-$$(git describe --always --dirty 2>/dev/null)}" exec $(BIN)/python -m tools.run

.PHONY: test
test: setup ## Run every test, with real processes and both databases
	@$(BIN)/python -m tools.test $(XDIST) --durations 25 $(ARGS)

.PHONY: torture
torture: setup ## Run the long fault suites: kills, random tampering, state machine (ARGS=--rounds=10 for a taste)
	$(BIN)/pytest $(XDIST) tests/torture $(ARGS)

.PHONY: check
check: lint ## What a commit must pass: lint and the unit tests
	$(BIN)/pytest -q $(XDIST) tests/unit

.PHONY: lint
lint: setup ## Format, lint, types, import rules, contracts
	@$(BIN)/python -m tools.lint $(JOBS)

.PHONY: bench
bench: setup bench-tools ## Measure against a bare server, as ratios in one run
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: generate
generate: setup ## Make gen/ anew from protos/
	$(BIN)/python -m tools.generate

.PHONY: commands
commands: setup ## Write the tables of commands in docs/cli.md from the command line itself
	$(BIN)/python -m tools.commands

.PHONY: settings
settings: setup ## Write the tables of settings in README.md and docs/settings.md from the code
	$(BIN)/python -m tools.settings

.PHONY: errors
errors: setup ## Write docs/errors.md from the error tables
	$(BIN)/python -m tools.errors

.PHONY: catalog
catalog: setup ## Build catalogs/RELEASE from facts and show what it changes: make catalog RELEASE=2026.11.20 FACTS=path
	@test -n "$(RELEASE)" && test -n "$(FACTS)" || { echo "usage: make catalog RELEASE=2026.11.20 FACTS=path"; exit 2; }
	$(BIN)/python -m tools.catalog build --release "$(RELEASE)" --facts "$(FACTS)"

.PHONY: dist
dist: setup ## Build the three wheels into dist/
	$(BIN)/uv build -q --wheel --no-build-isolation --out-dir dist gen
	$(BIN)/uv build -q --wheel --no-build-isolation --out-dir dist sdk
	$(BIN)/uv build -q --wheel --no-build-isolation --out-dir dist .
	@ls dist/*.whl

.PHONY: format
format: setup ## Rewrite the sources as `make check` wants them
	$(BIN)/ruff check -q --fix .
	$(BIN)/ruff format .

.PHONY: lock
lock: setup ## Renew requirements/*.lock from the pyproject files (UPGRADE=1 takes newer versions)
	$(BIN)/python -m tools.lock

.PHONY: setup
setup:
	@$(PYTHON) -m tools.setup

.PHONY: test-tools
test-tools: setup ## Build grpcurl into .tools/bin
	@$(BIN)/python -m tools.go_tools grpcurl

.PHONY: clients
clients: setup ## Build the Go, TypeScript and Java clients
	@$(BIN)/python -m tools.clients

.PHONY: bench-tools
bench-tools: setup
	@$(BIN)/python -m tools.go_tools wire

.PHONY: help
help: ## Show this
	@echo "make TARGET, where TARGET is one of"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  %-10s %s\n", $$1, $$2 }'
