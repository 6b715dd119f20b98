# `make demo` and `make test` need Python (3.10 or newer) and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# ENV from the command line alone: shells have an environment variable of that name.
DEMO = $(if $(filter command line,$(origin ENV)),--env-id "$(ENV)") $(if $(SITES),--sites "$(SITES)") $(if $(TRACE),--trace "$(TRACE)")

.PHONY: demo test slow lint clean

# Installed once, and again whenever what is to be installed changes.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all]"
	touch $@

demo: $(VENV)/installed  ## train, compare, draw: writes runs/demo; ENV=DTMigration-v0, SITES=… TRACE=…
	$(BIN)/python -m benchmarks.demo $(DEMO) $(ARGS)

test: $(VENV)/installed  ## the default test suite
	$(BIN)/python -m pytest -n auto $(ARGS)

slow: $(VENV)/installed  ## learning runs and long searches
	$(BIN)/python -m pytest -m slow $(ARGS)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## forget compiled kernels; the next import compiles them
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -r {} +
