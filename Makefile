# pymesh: `make demo` shows the mesh, `make test` proves it. Everything else is a part of one of the two.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
COMPILED := $(VENV)/.compiled

.PHONY: demo test check compiled sources unit integration interop bench bench-one soak peers clean

demo: $(COMPILED)  ## the canary story end to end, on loopback, with real processes
	$(BIN)/pymesh demo --once

test: check peers unit sources interop  ## everything the project promises; what CI runs (peers first: unit tests use the real Envoy where it is)

check: $(STAMP)  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

compiled: $(COMPILED)  ## the data plane's hot rooms in machine code; without a C compiler they run from their sources

unit: $(COMPILED)  ## tests that need nothing but Python (a few more run with Envoy here); files stay whole, for a mesh is started once a file
	$(BIN)/pytest -q -rs -n 2 --dist loadfile tests/unit tests/integration

sources: $(STAMP)  ## the data plane's unit tests once more, on what is not compiled
	PYMESH_ROOMS=source $(BIN)/pytest -q -n 2 tests/unit/proxy

integration: $(COMPILED)  ## the mesh as real processes on loopback, and the death of each part
	$(BIN)/pytest -q -rs -n 2 --dist loadfile tests/integration

interop: $(COMPILED) peers  ## against real Envoy, grpcio, openssl and Prometheus
	$(BIN)/pytest -q -rs -n 2 --dist loadfile tests/interop

peers: $(STAMP)  ## programs nobody here wrote, to test against
	$(PYTHON) tests/peers.py install

bench: $(COMPILED) peers  ## CPU per request beside Envoy and HAProxy, in one run
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.trouble
	$(BIN)/python -m tests.bench.scale

bench-one: $(COMPILED) peers  ## one case in under a minute: make bench-one NAME=h1
	$(BIN)/python -m tests.bench --case $(NAME) --rounds 4 --seconds 2

soak: $(COMPILED) peers  ## ten minutes in which nothing may grow
	$(BIN)/python -m tests.bench --case soak --seconds 600

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

$(COMPILED): $(STAMP) proxy/compile_rooms.py $(shell find proxy/pymesh_proxy -name '*.py')
	$(BIN)/python proxy/compile_rooms.py
	touch $@

clean:
	find proxy -name '*.so' -delete
	rm -rf $(VENV) proxy/build proxy/.mypy_cache .peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
