# Python 3.11, 3.12 or 3.13 with its `venv` module is all that this needs; everything goes into .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_PROGRESS_BAR := off
unexport PYTHONPATH

.PHONY: help demo test tutorials docs dist format clean

help:
	@echo "make demo       install, train on a small corpus, print neighbours, write demo.kv"
	@echo "make test       install with test extras, lint, check types, run the tests"
	@echo "make campaign   try what can go wrong; CAMPAIGN='--size whole --only kills' for more of some"
	@echo "make tutorials  run all notebooks of tutorials/ anew, in place"
	@echo "make docs       build the site: docs/_build/index.html"
	@echo "make dist       build the source archive and the wheel: dist/"
	@echo "make format     format the code and mend what the linter can"
	@echo "make clean      remove what these made"

demo: $(VENV)/.installed
	$(BIN)/kerasw2v train --output demo.kv

test: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder

campaign: $(VENV)/.installed-test
	$(BIN)/python tests/campaign $(CAMPAIGN)

tutorials: $(VENV)/.installed-test
	$(BIN)/python tests/notebooks.py tutorials/*.ipynb

docs: $(VENV)/.installed-test
	$(BIN)/python -m sphinx -b html -n -W --keep-going -q docs docs/_build

# The wheel is built from the source archive, as an installer would.
dist: $(BIN)/python
	@$(BIN)/python -m pip install --quiet --quiet 'build>=1.2' 'twine>=6'
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist docs/_build docs/tutorials *.egg-info .pytest_cache .mypy_cache .ruff_cache demo.kv

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "kerasw2v needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.12 ..." >&2; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "Python's venv module is missing: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.installed: $(BIN)/python setup.cfg pyproject.toml
	@echo "Installing kerasw2v and TensorFlow into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --quiet --editable .
	@touch $@

$(VENV)/.installed-test: $(BIN)/python setup.cfg pyproject.toml
	@echo "Installing kerasw2v, TensorFlow and the test tools into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --quiet --editable '.[test]'
	@touch $@
