PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# Real corpora and encoders, where they lie beside the checkout.
ifneq ($(wildcard ../shared/data/raw),)
export ESNERA_DATA_DIR ?= $(abspath ../shared/data/raw)
export ESNERA_ENCODER_DIR ?= $(abspath ../shared/encoders)
endif

.PHONY: install demo test test-all real browser tutorial lint types reference package lowest newest pythons coverage clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/esnera-hf demo

# A file runs on one worker, so that what it makes for all its tests is made once.
test: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(TESTS)

# Those too that start processes, with more random examples.
test-all: $(INSTALLED)
	HYPOTHESIS_PROFILE=nightly $(BIN)/python -m pytest -n 2 --dist loadfile -m 'not real' $(TESTS)

real: $(INSTALLED)
	$(BIN)/python -m pytest -m real -rs

# The page in a real browser, which is installed where it can be; the tests say why they are skipped elsewhere.
browser: $(INSTALLED)
	-$(BIN)/python -m pip install --quiet playwright
	-command -v chromium || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } > /dev/null
	$(BIN)/python -m pytest -m browser -rs tests/report/test_page.py

# The tutorial and the README's example as written, in an empty folder: their output is what the pages show. Not part of
# .ci/run: on another processor last digits of probabilities may differ.
tutorial: $(INSTALLED)
	$(BIN)/python -m pytest -m slow tests/test_tutorial.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

# docs/reference from docstrings and parser.
reference: $(INSTALLED)
	$(BIN)/python docs/make_reference.py

# Wheel and sdist, each installed into an empty environment away from the source tree and tried there.
package:
	PYTHON=$(PYTHON) .ci/package

# The default tests in an environment of their own, away from .venv: $(1) is its name, $(2) a Python, $(3) options of pip.
define test_in
	rm -rf build/$(1)
	$(2) -m venv build/$(1)
	build/$(1)/bin/python -m pip install --quiet $(3) --editable '.[dev]'
	build/$(1)/bin/python -m pytest -n 2 --dist loadfile $(TESTS)
endef

# On the lowest versions that pyproject.toml allows, but for torch: old builds of it bring gigabytes of CUDA, so it is the
# version of constraints.txt, whichever build of that is at hand.
lowest:
	mkdir -p build
	$(PYTHON) .ci/lowest_versions.py > build/lowest.txt
	$(call test_in,lowest,$(PYTHON),--constraint build/lowest.txt)

# On the newest versions that the package index has.
newest:
	$(call test_in,newest,$(PYTHON),--upgrade)

# On every Python that the package is for: make pythons, or make python3.13.
pythons: python3.11 python3.12 python3.13

python3.%:
	$(call test_in,$@,$@,--constraint constraints.txt)

# Lines and branches that the default tests reach.
coverage: $(INSTALLED)
	mkdir -p build/coverage
	$(BIN)/python -m pytest --cov --cov-report=term --cov-report=html $(TESTS)

clean:
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache
