# `make demo` and `make test` need Python >= 3.11 and make; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test docs format clean

demo: .venv/installed
	$(BIN)/urecjpq demo

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pytest

docs: .venv/installed-docs
	$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

format: .venv/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist runs docs/_build

# The stamps make the second start quick: pip runs again only when what it builds changes.
.venv/installed: pyproject.toml CMakeLists.txt $(wildcard urecjpq/index/kernels/*)
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "urecjpq needs Python >= 3.11; try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --editable .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/pip install --editable '.[test]'
	touch $@

.venv/installed-docs: .venv/installed
	$(BIN)/pip install --editable '.[docs]'
	touch $@
