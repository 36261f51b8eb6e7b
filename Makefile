# For a newcomer two commands do: `make demo` and `make test`. Nothing else need be run
# first; `make help` lists the rest. The work is in Python: tools/, and pytest.

export PYTHON ?= python3
export VENV ?= .venv
PY = "$(VENV)/bin/python"
UNITS = (not slow or ci) and not gpu and not network
PYTEST = $(PY) -m pytest --doctest-modules --durations=15
PARALLEL = -n 2 --dist loadscope

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env demo test test-fast test-all test-gpu fuzz lint format bench docs \
        lock fetch clean distclean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' Makefile

env: ## make or mend the environment (VENV, PYTHON, NEUROANA_TORCH, OFFLINE=1)
	@"$(PYTHON)" tools/bootstrap.py

demo: env ## run the pipelines on the shipped recordings and write one HTML report
	@$(PY) tools/demo.py

test: lint ## lint and the test suite, with coverage
	$(PYTEST) $(PARALLEL) -m "$(UNITS)" --cov=neuroana neuroana tests

test-fast: env ## the test suite alone; FILE=tests/io runs a part of it, in one process
	$(PYTEST) $(if $(FILE),"$(FILE)",$(PARALLEL) neuroana tests) -m "$(UNITS)"

test-all: lint ## the slow tests too
	$(PYTEST) $(PARALLEL) -m "not gpu and not network" neuroana tests

test-gpu: env ## the tests that need a CUDA device; they skip without one
	$(PYTEST) -m gpu tests

fuzz: env ## give every reader some of 10 000 damaged files; counts in fuzz-counts.tsv
	rm -f fuzz-counts.tsv
	NEUROANA_FUZZ=180 NEUROANA_FUZZ_COUNTS=fuzz-counts.tsv $(PY) -m pytest \
	    --timeout=3600 tests/fuzz
	cat fuzz-counts.tsv

lint: env ## ruff, import contracts, types of core and io
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	"$(VENV)/bin/lint-imports"
	$(PY) -m mypy neuroana/core neuroana/io

format: env ## let ruff format and sort what it can
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

bench: ## set speed and accuracy beside the peers, in an environment of their own
	@VENV="$(VENV)-bench" "$(PYTHON)" tools/bootstrap.py $(wildcard requirements/bench-*.txt)
	"$(VENV)-bench/bin/python" -m pytest -m bench -o python_files="*.py" benchmarks

docs: env ## build the documentation into docs/_build/html
	$(PY) -m sphinx -q -j 2 -W --keep-going docs docs/_build/html

lock: env ## write requirements/ from setup.cfg; UPGRADE=1 takes the newest versions
	$(PY) tools/lock.py $(if $(UPGRADE),--upgrade)

fetch: env ## fetch a recording that is not shipped: make fetch NAME=hcp_aal2
	$(PY) -m neuroana fetch $(NAME)

clean: ## remove what building, testing and the demo left
	rm -rf build dist demo docs/_build docs/auto_examples .snakemake .coverage htmlcov
	rm -f fuzz-counts.tsv
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache

distclean: clean ## remove the environments too
	rm -rf .venv* *.egg-info
