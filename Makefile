# Every target does its own set-up. What is needed beforehand: Python 3.11 or later, make, and for the
# first `make install` a package index that pip can reach (whatever pip is set to use).

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

BIN := .venv/bin
# Installs what a lock names into an environment. The locks are complete, so nothing is resolved; only what is really
# imported is compiled, once.
PACKAGES := $(BIN)/python .ci/packages.py
COMPILED := deployments.cli.app, deployments.cli.demo, deployments.cli.jobs, deployments.cli.serving, flows.drain_queue, prefect.server.api.server, scipy.linalg, scipy.special, tasks.sandbox.child
# Without compiled modules each process would spend seconds more of its start.
unexport PYTHONDONTWRITEBYTECODE
PYTEST_ARGS ?=
BENCH_ARGS ?=
# The tests wait more than they compute. The tests of a file share what they stand on, so they stay together; the files
# come in the order of tests/order.py, and not those with the most tests (unit) first.
PARALLEL ?= -n 4 $(BY_FILE)
BY_FILE := --dist loadfile --no-loadscope-reorder

# Clients of other front ends, each a folder in tests/clients; those that are installed in seconds are in every test run.
QUICK_CLIENTS := oqtopus
CLIENTS := $(QUICK_CLIENTS) quri qlued pennylane

# Sets $$python to the first Python that will do, or stops with a sentence that says what is missing.
FIND_PYTHON = python=; for candidate in python3.11 python3 python; do \
	  if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	  then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Python 3.11 or later with its venv module is needed: python3.11, python3 and python are none." >&2; exit 1; \
	fi

# uv reads no setting of this machine, and the lock names no index and no file.
LOCK := $(BIN)/uv pip compile --no-config --system-certs --quiet --universal --python-version 3.11 \
	--fork-strategy fewest --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --upgrade

.PHONY: help
help: ## say what can be made (this list)
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

.PHONY: install
install: .venv/.installed ## set up .venv with exactly the packages of requirements.lock

.venv/.locked: requirements.lock
	@$(FIND_PYTHON); echo "Making .venv with $$("$$python" --version) ..."; "$$python" -m venv --clear .venv
	@echo "Installing the packages of requirements.lock into .venv (a minute or two) ..."
	@$(PACKAGES) requirements.lock .venv
	@touch $@

.venv/.installed: .venv/.locked pyproject.toml
	@echo "Installing Quledger itself ..."
	@$(BIN)/python -c 'import $(COMPILED)' & compiled=$$!; \
	$(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input install --no-deps --no-build-isolation \
	  --editable . && wait $$compiled
	@touch $@

.PHONY: demo
demo: install ## run a few jobs from submission to result and show what is recorded
	@$(BIN)/quledger demo

.PHONY: up
up: install ## serve it all: Prefect's server and UI, the deployments and their schedules (Ctrl-C stops it)
	@$(BIN)/quledger up

.PHONY: services
services: install ## start real local servers to try storages with: S3, MongoDB's protocol, PostgreSQL (Ctrl-C stops them)
	@$(BIN)/python -m tests.services

# Beside the tests, on one of the processors that wait: the types, and the order of the layers.
BEGIN_LINT = mkdir -p .cache; $(BIN)/ruff check --quiet && $(BIN)/ruff format --quiet --check || exit 1; \
	$(BIN)/mypy >.cache/mypy.log 2>&1 & types=$$!; \
	$(BIN)/lint-imports --cache-dir .cache/import-linter >.cache/lint-imports.log & imports=$$!; failed=0
END_LINT = wait $$types || { cat .cache/mypy.log; failed=1; }; \
	wait $$imports || { cat .cache/lint-imports.log; failed=1; }; exit $$failed

.PHONY: check
check: install ## run the linters, and the unit and contract tests that start no server, side by side
	@$(BEGIN_LINT); \
	HYPOTHESIS_PROFILE=check $(BIN)/python -m pytest -n 5 $(BY_FILE) -q -m 'not slow and not server' tests/unit tests/contract \
	  $(PYTEST_ARGS) || failed=1; \
	$(END_LINT)

.PHONY: test
test: peer $(QUICK_CLIENTS:%=.venv-%/.installed) install ## run the linters and all tests (what CI runs); PYTEST_ARGS is handed to pytest
	@echo "Running the linters and the tests ..."
	@$(BEGIN_LINT); \
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS) || failed=1; \
	$(END_LINT)

.PHONY: crash
crash: peer install ## run the whole crash matrix, the runs of 400 jobs and all looks of the pages (long); `make test` runs a sample
	@QULEDGER_TEST_CRASH=all $(BIN)/python -m pytest -n 3 --timeout 1800 tests/crash tests/acceptance/test_by_itself.py tests/acceptance/test_control_room.py tests/acceptance/test_hostile_launches.py tests/acceptance/test_postgres.py tests/browser $(PYTEST_ARGS)

.PHONY: lint
lint: install ## check style, formatting, types and the order of the layers
	@echo "Checking style (ruff) ..."
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --check
	@echo "Checking types (mypy) ..."
	@$(BIN)/mypy
	@echo "Checking imports between the layers (import-linter) ..."
	@$(BIN)/lint-imports --cache-dir .cache/import-linter

.PHONY: mutants
mutants: install ## change the rules in models/ in a thousand ways and list what no unit test notices; see docs/testing.md
	@$(BIN)/mutmut run
	@$(BIN)/mutmut results

.PHONY: migration
migration: export QULEDGER_DATABASE := sqlite:///.cache/migration.db
migration: install ## write the migration of tables that were changed: make migration MESSAGE="what it does"
	@test -n "$(MESSAGE)" || { echo 'Say what it does: make migration MESSAGE="..."' >&2; exit 2; }
	@mkdir -p .cache; rm -f .cache/migration.db*
	@$(BIN)/python -c "from storage.log.database import open_database as made; made('$(QULEDGER_DATABASE)').dispose()"
	@$(BIN)/alembic revision --autogenerate --message "$(MESSAGE)"
	@echo "Read it, then say its number as HEAD in storage/log/database.py."

.PHONY: bench
bench: peer install ## measure the simulators, and the rates of jobs side by side; BENCH_ARGS is handed on (8 min)
	@$(BIN)/python benchmarks/simulators.py
	@$(BIN)/python benchmarks/prefect_rates.py $(BENCH_ARGS)

.PHONY: bench-log
bench-log: install ## measure how the event log scales; BENCH_ARGS is handed on
	@$(BIN)/python benchmarks/log_scale.py $(BENCH_ARGS)
	@$(BIN)/python benchmarks/many_users.py
	@$(BIN)/python benchmarks/submissions.py

.PHONY: bench-tools
bench-tools: install ## measure each command about one job or one page, with 10^5 and 10^6 jobs; the logs are kept in .cache (BENCH_ARGS="--jobs 100000")
	@$(BIN)/python benchmarks/tools.py $(or $(BENCH_ARGS),--jobs 100000 1000000)

.PHONY: bench-storages
bench-storages: install ## measure every kind of storage: jobs/s, requests and bytes per job, listings; BENCH_ARGS is handed on
	@$(BIN)/python benchmarks/storages.py $(BENCH_ARGS)

.PHONY: bench-qubits
bench-qubits: install ## measure the qubits: mitigation, shots beside plain Aer, reach, what the sandbox costs
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/qubits.py

.PHONY: bench-api
bench-api: .cache/bench-peer/.installed install ## measure the HTTP API beside a minimal Django app; BENCH_ARGS is handed on (7 min)
	@$(BIN)/python benchmarks/api.py $(BENCH_ARGS)

.PHONY: bench-results
bench-results: install ## measure results of a million shots: how soon they are a DataFrame, and how long others wait; BENCH_ARGS is handed on
	@$(BIN)/python benchmarks/results.py $(BENCH_ARGS)

.PHONY: bench-client
bench-client: install ## hand in a thousand jobs with the Python client, wait for each, and say what its process holds; BENCH_ARGS is handed on
	@$(BIN)/python benchmarks/client_jobs.py $(BENCH_ARGS)

.cache/bench-peer/.installed: benchmarks/peer/requirements.lock | .venv/.locked
	@$(FIND_PYTHON); echo "Making .cache/bench-peer with $$("$$python" --version) ..."; "$$python" -m venv --clear --without-pip .cache/bench-peer
	@echo "Installing the packages of $< ..."
	@$(PACKAGES) $< .cache/bench-peer
	@touch $@

.PHONY: peer
peer: .venv-peer/.installed ## set up .venv-peer with the published SDK that one acceptance test talks to

.venv-peer/.installed: tests/peer/requirements.lock | .venv/.locked
	@$(FIND_PYTHON); echo "Making .venv-peer with $$("$$python" --version) ..."; "$$python" -m venv --clear --without-pip .venv-peer
	@echo "Installing the packages of tests/peer/requirements.lock into .venv-peer ..."
	@$(PACKAGES) $< .venv-peer
	@touch $@

.PHONY: fuzz
fuzz: install ## try for ten minutes what the OpenAPI document promises, at random and in sequences
	@QULEDGER_TEST_FUZZ=600 $(BIN)/python -m pytest tests/api/test_schema.py $(PYTEST_ARGS)

.PHONY: clients
clients: install $(CLIENTS:%=.venv-%/.installed) ## try published clients of other front ends, each in an environment of its own
	@QULEDGER_TEST_CLIENT_JOBS=1000 $(BIN)/python -m pytest tests/clients $(PYTEST_ARGS)

.venv-%/.installed: tests/clients/%/requirements.lock | .venv/.locked
	@$(FIND_PYTHON); echo "Making .venv-$* with $$("$$python" --version) ..."; "$$python" -m venv --clear --without-pip .venv-$*
	@echo "Installing the packages of $< into .venv-$* ..."
	@$(PACKAGES) $< .venv-$*
	@touch $@

.PHONY: docs
docs: install .venv-docs/.installed .venv-notebooks/.installed ## make the pages of docs/ in .cache/docs, every warning an error, and try all of their examples
	@echo "Making the pages ..."
	@.venv-docs/bin/python -m sphinx --nitpicky --fail-on-warning --keep-going --fresh-env --quiet --builder html \
	  --doctree-dir .cache/doctrees docs .cache/docs
	@echo "Trying the examples ..."
	@QULEDGER_TEST_DOCS=all $(BIN)/python -m pytest tests/documentation $(PYTEST_ARGS)

.PHONY: screenshots
screenshots: install .venv-notebooks/.installed ## make the pictures of pages in docs/_static anew (needs Chromium); look at them
	@$(BIN)/python -m tests.documentation.screenshots

.venv-docs/.installed: docs/requirements.lock | .venv/.locked
	@$(FIND_PYTHON); echo "Making .venv-docs with $$("$$python" --version) ..."; "$$python" -m venv --clear --without-pip .venv-docs
	@echo "Installing the packages of $< into .venv-docs ..."
	@$(PACKAGES) $< .venv-docs
	@touch $@

.venv-notebooks/.installed: docs/notebooks/requirements.lock | .venv/.locked
	@$(FIND_PYTHON); echo "Making .venv-notebooks with $$("$$python" --version) ..."; "$$python" -m venv --clear --without-pip .venv-notebooks
	@echo "Installing the packages of $< into .venv-notebooks ..."
	@$(PACKAGES) $< .venv-notebooks
	@touch $@

.PHONY: lock
lock: install ## renew all lock files: the newest versions that pyproject.toml allows
	@echo "Resolving requirements.lock ..."
	@$(LOCK) --all-extras --output-file requirements.lock pyproject.toml
	@echo "Resolving tests/peer/requirements.lock ..."
	@$(LOCK) --output-file tests/peer/requirements.lock tests/peer/requirements.in
	@echo "Resolving benchmarks/peer/requirements.lock ..."
	@$(LOCK) --output-file benchmarks/peer/requirements.lock benchmarks/peer/requirements.in
	@echo "Resolving docs/requirements.lock ..."
	@$(LOCK) --output-file docs/requirements.lock docs/requirements.in
	@echo "Resolving docs/notebooks/requirements.lock ..."
	@$(LOCK) --output-file docs/notebooks/requirements.lock docs/notebooks/requirements.in
	@for client in $(CLIENTS); do echo "Resolving tests/clients/$$client/requirements.lock ..."; \
	  $(LOCK) --output-file tests/clients/$$client/requirements.lock tests/clients/$$client/requirements.in || exit 1; done

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf .venv .venv-* .cache .hypothesis dist mutants
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
