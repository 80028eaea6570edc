# Two commands for a new machine: `make train` and `make test`. Each first installs what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: train test test-lowest clean

train: $(VENV)/installed
	$(BIN)/translator train --config configs/quickstart.yaml --run-dir runs/quickstart

test: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	# One process per core, so one thread per process.
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses logical --maxprocesses 8 --dist loadfile

# A wheel with the lowest versions of all libraries, away from the checkout.
LOWEST = $(VENV)-lowest
LOWEST_TESTS = config data model/test_normalizers.py training/test_tensorboard.py \
  system/test_records.py corpus/test_sources.py runs/test_damage.py runs/test_report.py \
  export/test_export.py::test_commands_export_translate_and_evaluate
test-lowest:
	rm -rf $(LOWEST)
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) scripts/lowest_versions.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/pip install --quiet --constraint $(LOWEST)/constraints.txt '.[test]'
	cp -r tests scripts configs pyproject.toml $(LOWEST)
	cd $(LOWEST) && OMP_NUM_THREADS=1 bin/pytest --numprocesses logical --maxprocesses 8 \
	  --dist loadfile $(addprefix tests/,$(LOWEST_TESTS))

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "translator needs Python 3.11 or newer: make train PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }  # leave no incomplete one

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	@echo "installing into $(VENV) (a minute or two) …"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: $(VENV)/bin/python pyproject.toml
	@echo "installing into $(VENV) (a minute or two) …"
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV)
