# make demo: the main job on real speech.   make test: lint, types, tests.
PYTHON ?= python3
BIN := .venv/bin
# The CPU build of this torch; plain PyPI may serve CUDA builds of several GB for other versions.
TORCH ?= torch==2.13.0

# Tests run in as many processes as there are cores, one thread each.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadgroup --durations=10
PYTEST_OPTIONS ?=

# Draws the diagrams of the site; a reader's browser takes it from us, not from elsewhere.
MERMAID := build/site-tools/package/dist/mermaid.min.js

PAGES := src/audiodec/pages

.PHONY: demo test test-slow js site docs wheel clean

demo: .venv/runtime
	$(BIN)/audiodec demo

test: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(PYTEST) -m "not slow" $(PYTEST_OPTIONS)

test-slow: .venv/dev
	$(PYTEST) -m slow $(PYTEST_OPTIONS)

# The npm package: types, tests, and the README's lines with the packed package in a fresh project.
js:
	npm ci --silent --no-audit --no-fund --prefix js
	npm --silent --prefix js run check
	npm --silent --prefix js test
	rm -rf build/js && mkdir -p build/js/project
	cd js && npm pack --silent --pack-destination ../build/js
	cd build/js/project && npm init --yes > /dev/null && npm install --silent --no-audit --no-fund ../audiodec-*.tgz
	sed -n '/^```js/,/^```/{/^```/!p}' js/README.md > build/js/project/readme.mjs
	node build/js/project/readme.mjs > build/js/project/said.txt
	test "$$(grep -c samples build/js/project/said.txt)" = 50

# Pages for browsers with all they need: for any web server, and for `audiodec serve --site`.
site:
	test -d js/node_modules || npm ci --silent --no-audit --no-fund --prefix js
	rm -rf js/dist $(PAGES) && npm --silent --prefix js run build
	mkdir -p $(PAGES)/audiodec
	cp site/* src/audiodec/assets/speech.flac $(PAGES) && cp js/dist/* $(PAGES)/audiodec
	gzip -9 --keep --no-name $(PAGES)/audiodec/*
	ln -s ../models $(PAGES)/models
	@echo "$(PAGES)/index.html: serve it with \`audiodec serve --site\`, or copy it with cp -rL"

docs: .venv/dev $(MERMAID)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "build/site/index.html"

wheel: .venv/dev site
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
	$(BIN)/pip install --quiet -e '.[train,bench,live,scale,docs,dev]'
	touch $@ .venv/runtime

$(MERMAID):
	mkdir -p build/site-tools
	cd build/site-tools && npm pack --silent mermaid@11.17.2 \
	  && tar -xzf mermaid-*.tgz package/dist/mermaid.min.js && rm mermaid-*.tgz
	touch $@
