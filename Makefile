# Everything sets itself up in .venv; nothing but Python 3.11, venv and make has to be there.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help drill test quick lint check images bench docs clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; try: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . --group dev
	@touch $@

drill: $(READY)  ## play the PocketOS incident
	$(BIN)/ninelives run scenarios/pocketos/as-it-happened.yaml

# Whole drills measure time, so nothing else runs beside them.
test: $(READY)  ## run every test; prints the slowest
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not drill' --durations=10 $(PYTEST)
	$(BIN)/python -m pytest -m drill --durations=10 $(PYTEST)

quick: $(READY)  ## run the fast tests only
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not drill and not browser and not slow and not docker' $(PYTEST)

lint: $(READY)  ## style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: $(READY)  ## prove every shipped scenario
	$(BIN)/ninelives check scenarios

images: $(READY)  ## make the container images that tests and `--provider docker` use
	$(BIN)/python images/build.py

bench: $(READY)  ## print the figures
	$(BIN)/python -m benchmarks

docs: $(READY)  ## write the generated parts of docs/ and README again
	$(BIN)/python docs/generate.py

clean:  ## remove what the targets above made
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache
