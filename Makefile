PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# Real corpora and encoders, where they lie beside the checkout.
ifneq ($(wildcard ../shared/data/raw),)
export ESNERA_DATA_DIR ?= $(abspath ../shared/data/raw)
export ESNERA_ENCODER_DIR ?= $(abspath ../shared/encoders)
endif

.PHONY: install demo test real lint types package lowest coverage clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/esnera-hf demo

test: $(INSTALLED)
	$(BIN)/python -m pytest

real: $(INSTALLED)
	$(BIN)/python -m pytest -m real -rs

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

# Wheel and sdist, each installed into an empty environment away from the source tree and tried there.
package:
	PYTHON=$(PYTHON) .ci/package

# The default tests on the lowest versions that pyproject.toml allows.
lowest:
	rm -rf build/lowest
	$(PYTHON) -m venv build/lowest
	$(PYTHON) .ci/lowest_versions.py > build/lowest/lowest.txt
	build/lowest/bin/python -m pip install --quiet --constraint build/lowest/lowest.txt --editable '.[dev]'
	build/lowest/bin/python -m pytest $(TESTS)

# Lines and branches that the default tests reach, and error messages that none of them provokes.
coverage: $(INSTALLED)
	mkdir -p build/coverage
	rm -f build/coverage/provoked.json
	$(BIN)/python -m pytest --cov --cov-report=term --cov-report=html --provoked build/coverage/provoked.json $(TESTS)
	$(if $(TESTS),,PYTHONPATH=tests $(BIN)/python tests/error_catalogue.py --provoked build/coverage/provoked.json)

clean:
	rm -rf .venv build/lowest build/coverage .mypy_cache .ruff_cache .pytest_cache
