# pymesh: `make demo` shows the mesh, `make test` proves it. Everything else is a part of one of the two.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test check unit integration interop bench bench-one peers clean

demo: $(STAMP)  ## the canary story end to end, on loopback, with real processes
	$(BIN)/pymesh demo --once

test: check peers unit interop  ## everything the project promises; what CI runs (peers first: unit tests use the real Envoy where it is)

check: $(STAMP)  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(STAMP)  ## tests that need nothing but Python (a few more run with Envoy here); files stay whole, for a mesh is started once a file
	$(BIN)/pytest -q -rs -n 2 --dist loadfile tests/unit tests/integration

integration: $(STAMP)  ## the mesh as real processes on loopback, and the death of each part
	$(BIN)/pytest -q -rs -n 2 --dist loadfile tests/integration

interop: $(STAMP) peers  ## against real Envoy, grpcio, openssl and Prometheus
	$(BIN)/pytest -q -rs -n 2 --dist loadfile tests/interop

peers: $(STAMP)  ## programs nobody here wrote, to test against
	$(PYTHON) tests/peers.py install

bench: $(STAMP) peers  ## CPU per request beside Envoy and HAProxy, in one run
	$(BIN)/python -m tests.bench

bench-one: $(STAMP) peers  ## one case in under a minute: make bench-one NAME=h1
	$(BIN)/python -m tests.bench --case $(NAME) --rounds 3 --seconds 3

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
