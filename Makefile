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

# An editable install of the strict kind lays links to the files one by one, which type checkers can follow. Where a
# file came or went, or the schema changed, it has to be done again: the folders' time stamps tell the one.
FOLDERS := $(sort $(dir $(wildcard proto/*.* fixes/*.py lint/*.* lint/*/*.py lint/*/*/*.py)))
SOURCES := pyproject.toml $(FOLDERS) proto/caffe.proto proto/compile.py $(wildcard proto/*.tsv)
INSTALL := -m pip install --quiet --disable-pip-version-check
STRICT := --config-settings editable_mode=strict

.PHONY: help demo test check format test-protobuf test-pre-commit sarif-schema benchmark fix-corpus readme docs build clean

help:
	@echo 'make demo             the linter on examples/: findings, then patches'
	@echo 'make test             tests (ARGS="-k name" to choose)'
	@echo 'make check            ruff, mypy, our own linter on our own files'
	@echo 'make format           let ruff lay the code out and repair what it can'
	@echo 'make test-protobuf    tests on the oldest and the newest protobuf, and on the one in pure Python'
	@echo 'make test-pre-commit  both pre-commit hooks on a scratch repository'
	@echo 'make sarif-schema     fetch the JSON schema of SARIF, which tests hold our report against'
	@echo 'make benchmark        speed, as ratios'
	@echo 'make fix-corpus       every fix on every real file of ../shared/corpus'
	@echo 'make readme           sessions and table of rules in README.md'
	@echo 'make docs             the site of the documentation, into build/docs/site/'
	@echo 'make build            sdist and wheel into dist/'
	@echo 'make clean            remove all that was built or installed here'

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python $(INSTALL) --editable . $(STRICT)
	@touch $@

.venv/installed-for-development: $(SOURCES) | $(BIN)/python
	$(BIN)/python $(INSTALL) --editable '.[dev,parquet,plot,proto,test]' $(STRICT)
	@touch .venv/installed $@

# The linter leaves with 1 when it has findings, or a patch to show. Here that is what it is there for.
demo: .venv/installed
	@for options in '' ' --diff' ' --diff --unsafe-fixes'; do \
	    printf '\n$$ caffe-lint examples%s\n\n' "$$options"; \
	    $(BIN)/caffe-lint examples$$options || test $$? -eq 1 || exit 1; \
	done

test: .venv/installed-for-development
	$(BIN)/python -m pytest $(ARGS)

check: .venv/installed-for-development
	$(BIN)/ruff check .
	$(BIN)/mypy --package caffe_lint
	$(BIN)/caffe-lint examples/digits

format: .venv/installed-for-development
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# grpcio-tools asks for the newest protobuf; it goes without complaint with an older one that is installed after it.
test-protobuf: .venvs/protobuf-4.25/installed .venvs/protobuf-newest/installed
	.venvs/protobuf-4.25/bin/python -m pytest -m 'not pypi' $(ARGS)
	PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python .venvs/protobuf-4.25/bin/python -m pytest -m 'not pypi' $(ARGS)
	.venvs/protobuf-newest/bin/python -m pytest -m 'not pypi' $(ARGS)

.venvs/protobuf-%/installed: .FORCE
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	rm -rf build/lib build/bdist.*
	$(@D)/bin/python $(INSTALL) '.[test]'
	$(@D)/bin/python $(INSTALL) --force-reinstall --no-deps 'protobuf$(if $(filter newest,$*),,==$*.*)'
	@touch $@

test-pre-commit: .venv/installed-for-development
	$(BIN)/python -m pytest tests/test_pre_commit.py $(ARGS)

# The schema comes with the validator that SARIF's authors publish for npm; no package for Python has it.
sarif-schema: .venvs/sarif-2.1.0.json

.venvs/sarif-2.1.0.json:
	mkdir -p .venvs/sarif
	cd .venvs/sarif && npm pack --silent @microsoft/sarif-multitool-linux@5
	tar xzf .venvs/sarif/*.tgz -C .venvs package/sarif-2.1.0.json --strip-components=1
	rm -rf .venvs/sarif

# Measured as users have it: a wheel, installed.
benchmark: .venvs/benchmark/installed
	.venvs/benchmark/bin/python benchmarks/speed.py $(ARGS)

fix-corpus: .venvs/benchmark/installed
	.venvs/benchmark/bin/python benchmarks/fix_corpus.py $(ARGS)
	.venvs/benchmark/bin/python benchmarks/fix_corpus.py --unsafe-fixes $(ARGS)

.venvs/benchmark/installed: .FORCE
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	rm -rf build/lib build/bdist.*
	$(@D)/bin/python $(INSTALL) '.[proto]'
	@touch $@

.FORCE:

readme: .venv/installed
	$(BIN)/python docs/update_readme.py

docs: .venv/installed-for-docs
	$(BIN)/python docs/site/build.py build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file build/docs/mkdocs.yml
	@echo 'build/docs/site/index.html'

# With what makes the data of examples, too.
.venv/installed-for-docs: $(SOURCES) | $(BIN)/python
	$(BIN)/python $(INSTALL) --editable '.[data,docs]' $(STRICT)
	@touch .venv/installed $@

build: .venv/installed-for-development
	rm -rf dist
	$(BIN)/python -m build

clean:
	rm -rf build dist .venv .venvs *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
