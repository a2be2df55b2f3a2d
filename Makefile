# make demo: the main job on real speech.   make test: lint, types, tests.
PYTHON ?= python3
BIN := .venv/bin
# The CPU build of this torch; plain PyPI may serve CUDA builds of several GB for other versions.
TORCH ?= torch==2.13.0

# Tests run in as many processes as there are cores, one thread each.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadgroup
PYTEST_OPTIONS ?=

.PHONY: demo test test-slow wheel clean

demo: .venv/runtime
	$(BIN)/audiodec demo

test: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(PYTEST) -m "not slow" $(PYTEST_OPTIONS)

test-slow: .venv/dev
	$(PYTEST) -m slow $(PYTEST_OPTIONS)

wheel: .venv/dev
	$(BIN)/python -m build --wheel

clean:
	rm -rf .venv build dist

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip

.venv/runtime: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet -e '.[bench]' || { \
	  echo "no metrics: their packages cannot be installed here (pesq needs a C compiler)"; \
	  $(BIN)/pip install --quiet -e .; }
	touch $@

.venv/dev: pyproject.toml | .venv/bin/python
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet -e '.[train,bench,live,scale,dev]'
	touch $@ .venv/runtime
