# make demo    what the linter says about the files of examples/, and how it would patch them
# make test    the tests, against the installed package
# make check   style, types, and our own linter on our own files
# make help    the rest
#
# Needs Python (3.10 to 3.13) and what pip can reach; everything is installed below .venv/ and .venvs/.

PYTHON ?= python3
BIN := .venv/bin
# Arguments for pytest: make test ARGS='-k clipping'
ARGS ?=

# An editable install of the strict kind lays links to the files one by one. Type checkers can follow these; but a
# file that came or went, or a change of the schema, needs the install again. Folders tell the one, files the other.
FOLDERS := $(sort $(dir $(wildcard proto/*.* fixes/*.py lint/*.* lint/*/*.*)))
SOURCES := pyproject.toml $(FOLDERS) proto/caffe.proto proto/compile.py $(wildcard proto/*.tsv)
INSTALL := -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test check format test-protobuf test-pre-commit benchmark fix-corpus build clean

help:
	@echo 'make demo             the linter on examples/: findings, then patches'
	@echo 'make test             tests (ARGS="-k name" to choose)'
	@echo 'make check            ruff, mypy, our own linter on our own files'
	@echo 'make format           let ruff rewrite what make check would complain about'
	@echo 'make test-protobuf    tests on the oldest and the newest protobuf'
	@echo 'make test-pre-commit  both pre-commit hooks on a scratch repository'
	@echo 'make benchmark        speed, as ratios'
	@echo 'make fix-corpus       every fix on every file of ../shared/corpus'
	@echo 'make build            wheel and sdist into dist/'
	@echo 'make clean            remove all that was built or installed here'

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/installed: $(SOURCES) | $(BIN)/python
	rm -rf build
	$(BIN)/python $(INSTALL) --editable . --config-settings editable_mode=strict
	@touch $@

.venv/installed-for-development: .venv/installed
	rm -rf build
	$(BIN)/python $(INSTALL) --editable '.[dev,test]' --config-settings editable_mode=strict
	@touch $@

# The linter leaves with 1 when it has findings, which here it should.
demo: .venv/installed
	@echo '$$ caffe-lint examples'
	@$(BIN)/caffe-lint examples; test $$? -eq 1
	@echo
	@echo '$$ caffe-lint examples --diff'
	@$(BIN)/caffe-lint examples --diff; test $$? -le 1

test: .venv/installed-for-development
	$(BIN)/python -m pytest $(ARGS)

check: .venv/installed-for-development
	$(BIN)/ruff check .
	$(BIN)/mypy --package caffe_lint
	$(BIN)/caffe-lint $(GOOD_FILES)

format: .venv/installed-for-development
	$(BIN)/ruff check --fix .

build: .venv/installed-for-development
	rm -rf build dist
	$(BIN)/python -m build
	rm -rf build

clean:
	rm -rf build dist .venv .venvs *.egg-info .mypy_cache .pytest_cache .ruff_cache
