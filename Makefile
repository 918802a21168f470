PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# Real corpora and encoders, where they lie beside the checkout.
ifneq ($(wildcard ../shared/data/raw),)
export ESNERA_DATA_DIR ?= $(abspath ../shared/data/raw)
export ESNERA_ENCODER_DIR ?= $(abspath ../shared/encoders)
endif

.PHONY: install demo test real lint types clean

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

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache
