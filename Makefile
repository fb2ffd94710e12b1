# `make compare`: set up and run the quick head-to-head.  `make test`: set up and run the tests of a few minutes.
# `make test-all`: all tests, as CI does.  All three do only what has changed since the last time.
PYTHON ?= python3
# Tests at once; each on one core.
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/.ready

.PHONY: compare test test-all lint clean

compare: $(READY)
	$(BIN)/reasoning-kit compare experiment=quick --fresh

test: $(READY)
	$(BIN)/python -m pytest -m "not slow and not gpu and not vllm" --numprocesses $(WORKERS) --dist loadscope

test-all: $(READY)
	$(BIN)/python -m pytest -m "not gpu and not vllm" --numprocesses $(WORKERS) --dist loadscope --durations=25

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is %s: make PYTHON=python3.11" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
