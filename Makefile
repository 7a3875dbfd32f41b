# make demo    run caffe-lint on examples/: findings, then patches
# make test    run the tests against the installed package
# make check   run ruff, mypy, and caffe-lint on our own files
# make help    list the other targets
#
# Requires Python (3.10 to 3.13) and access to a package index; everything is installed in .venv/ and .venvs/.

PYTHON ?= python3
BIN := .venv/bin
# Arguments for pytest: make test ARGS='-k clipping'
ARGS ?=

# A strict editable install links each file, which type checkers can follow. It must be repeated if a file is added or
# removed, which changes the folder's time stamp, or if the schema changes.
FOLDERS := $(sort $(dir $(wildcard proto/*.* fixes/*.py lint/*.* lint/*/*.py lint/*/*/*.py lint/rules/examples/*/*/* \
    lint/report/vendor/* lint/report/view/browser/*)))
# Tests start the program more than a thousand times; without bytecode, Python would compile all of it each time.
unexport PYTHONDONTWRITEBYTECODE

SOURCES := pyproject.toml $(FOLDERS) proto/caffe.proto proto/compile.py $(wildcard proto/*.tsv)
INSTALL := -m pip install --quiet --disable-pip-version-check
STRICT := --config-settings editable_mode=strict

.PHONY: help demo test fuzz kill check format pythons oldest coverage mutation test-pre-commit sarif-schema axe vendor benchmark fix-corpus fleet pages docs editors build clean

help:
	@echo 'make demo             run caffe-lint on examples/: findings, then patches'
	@echo 'make test             run the tests (select with ARGS="-k name")'
	@echo 'make fuzz             fuzz all readers, checks and fixes (SECONDS=600, TARGET=log)'
	@echo 'make kill             kill --fix while it writes, ROUNDS=300 times, and look at the files'
	@echo 'make check            run ruff, mypy, and caffe-lint on our own files'
	@echo 'make format           format the code and apply ruff fixes'
	@echo 'make pythons          run the tests with each Python from 3.10 to 3.13 that is found'
	@echo 'make oldest           run the tests with the oldest dependencies that pyproject.toml admits'
	@echo 'make coverage         run the tests and print how much of the code they run, processes that they start included'
	@echo 'make mutation         change fixes/ and the binder in MUTANTS places, and count the changes that tests notice'
	@echo 'make test-pre-commit  run both pre-commit hooks on a scratch repository'
	@echo 'make sarif-schema     download the JSON schema of SARIF that the tests validate against'
	@echo 'make axe              download axe-core, with which the tests check that the pages of view are accessible'
	@echo 'make vendor           fetch the layout library of the pages of view from npm again'
	@echo 'make benchmark        measure speed, as ratios'
	@echo 'make fix-corpus       apply every fix to every file in ../shared/corpus'
	@echo 'make pages            update the generated parts of README.md and docs/: sessions, rules, picture, manual page'
	@echo 'make fleet            check the corpus ten times over with Spark (COPIES=10; needs Java)'
	@echo 'make docs             build the documentation website in build/docs/site/'
	@echo 'make editors          build the extension for VS Code, and try the configurations of other editors'
	@echo 'make build            build sdist and wheel in dist/'
	@echo 'make clean            remove everything built or installed here'

$(BIN)/python:
	$(PYTHON) -m venv .venv

.venv/installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python $(INSTALL) --editable . $(STRICT)
	@touch $@

.venv/installed-for-development: $(SOURCES) | $(BIN)/python
	$(BIN)/python $(INSTALL) --editable '.[benchmark,dev,parquet,plot,proto,test]' $(STRICT)
	@touch .venv/installed $@

# caffe-lint exits with 1 if it has findings or a patch to show, which is the point here.
demo: .venv/installed
	@for options in '' ' --diff' ' --diff --unsafe-fixes'; do \
	    printf '\n$$ caffe-lint examples%s\n\n' "$$options"; \
	    $(BIN)/caffe-lint examples$$options || test $$? -eq 1 || exit 1; \
	done

test: .venv/installed-for-development
	$(BIN)/python -m pytest $(ARGS)

# make fuzz SECONDS=600 TARGET=log EXECUTIONS=500000; without a target, all of them share the seconds
SECONDS ?= 600
TARGET ?=
EXECUTIONS ?= 0
fuzz: .venv/installed-for-fuzzing
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS) --executions $(EXECUTIONS) --target '$(TARGET)'

# make kill ROUNDS=300
ROUNDS ?= 300
kill: .venv/installed-for-development
	$(BIN)/python tests/kill_loop.py --rounds $(ROUNDS)

.venv/installed-for-fuzzing: $(SOURCES) | $(BIN)/python
	$(BIN)/python $(INSTALL) --editable '.[fuzz,test]' $(STRICT)
	@touch .venv/installed $@

check: .venv/installed-for-development
	$(BIN)/ruff check .
	$(BIN)/mypy --package caffe_lint
	$(BIN)/caffe-lint examples/digits

format: .venv/installed-for-development
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Runs of pytest on the package as users install it, with every feature. `make pythons PYTHONS='3.10 3.12' ARGS='-x'`
PYTHONS ?= 3.10 3.11 3.12 3.13
FEATURES := .[data,parquet,plot,proto,test,watch]
# The interpreter of a version: on the PATH, or installed by pyenv.
find_python = $(firstword $(foreach python,python$(1) $(wildcard $(HOME)/.pyenv/versions/$(1).*/bin/python),\
    $(shell $(python) -c 'import sys; print(sys.executable)' 2>/dev/null)))

pythons: $(foreach version,$(PYTHONS),.venvs/python-$(version)/tested)
	@echo 'Tested:     $(foreach version,$(PYTHONS),$(if $(call find_python,$(version)),$(version)))'
	@echo 'Not found:  $(foreach version,$(PYTHONS),$(if $(call find_python,$(version)),,$(version)))'

.venvs/python-%/tested: .FORCE
	$(if $(call find_python,$*),$(call install_and_test,$(call find_python,$*),),@echo 'Python $* is not found')

# The build, too, uses the oldest setuptools and compiler. The oldest Python, since the oldest libraries have no wheels for newer
# ones. Some users have protobuf without its C library, which behaves differently, so verify fixes with that as well.
oldest: .venvs/oldest/tested
	PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python .venvs/oldest/bin/python -m pytest -m 'not pypi' $(ARGS)

.venvs/oldest/tested: .venvs/oldest.txt .FORCE
	$(call install_and_test,$(call find_python,3.10),PIP_CONSTRAINT=$<)

.venvs/oldest.txt: pyproject.toml tests/oldest_versions.py
	mkdir -p $(@D)
	$(PYTHON) tests/oldest_versions.py >$@

# $(1) is the interpreter, $(2) what pip needs in its environment.
define install_and_test
	test -x $(@D)/bin/python || $(1) -m venv $(@D)
	rm -rf build/lib build/bdist.*
	$(2) $(@D)/bin/python $(INSTALL) --prefer-binary '$(FEATURES)'
	$(@D)/bin/python -m pytest -m 'not pypi' $(ARGS)
endef

coverage: .venvs/coverage/installed
	COVERAGE_PROCESS_START=pyproject.toml .venvs/coverage/bin/python -m coverage run -m pytest -m 'not pypi' $(ARGS)
	.venvs/coverage/bin/python -m coverage combine --quiet
	.venvs/coverage/bin/python -m coverage report --skip-covered
	@.venvs/coverage/bin/python -m coverage json --quiet -o build/coverage/report.json
	@.venvs/coverage/bin/python -c 'import json; totals = json.load(open("build/coverage/report.json"))["totals"]; \
	    print("Lines: {percent_statements_covered:.1f}%, branches: {percent_branches_covered:.1f}%".format(**totals))'

# The places are chosen at random; the same SEED gives the same ones.
MUTANTS ?= 200
SEED ?= 0
mutation: .venvs/coverage/installed
	.venvs/coverage/bin/python tests/mutation.py --mutants $(MUTANTS) --seed $(SEED)

.venvs/coverage/installed: .FORCE
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	rm -rf build/lib build/bdist.*
	$(@D)/bin/python $(INSTALL) '.[coverage,data,parquet,plot,proto,test,watch]'
	@touch $@

test-pre-commit: .venv/installed-for-development
	$(BIN)/python -m pytest tests/test_pre_commit.py $(ARGS)

# The schema is part of the validator that SARIF's authors publish on npm; no Python package has it.
sarif-schema: .venvs/sarif-2.1.0.json

.venvs/sarif-2.1.0.json:
	mkdir -p .venvs/sarif
	cd .venvs/sarif && npm pack --silent @microsoft/sarif-multitool-linux@5
	tar xzf .venvs/sarif/*.tgz -C .venvs package/sarif-2.1.0.json --strip-components=1
	rm -rf .venvs/sarif

axe: .venvs/axe.min.js

.venvs/axe.min.js:
	mkdir -p .venvs/axe
	cd .venvs/axe && npm pack --silent axe-core@4
	tar xzf .venvs/axe/*.tgz -C .venvs package/axe.min.js --strip-components=1
	rm -rf .venvs/axe

# The library is part of the package, so that nobody who installs it needs npm.
vendor:
	lint/report/vendor/refetch.sh

# Measured as users run it: installed from a wheel.
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

# Spark is large, and a run takes minutes: outside CI.
CORPUS ?= ../shared/corpus/files
COPIES ?= 10
fleet: .venvs/fleet/installed
	rm -rf build/fleet
	PYSPARK_PYTHON=$(CURDIR)/.venvs/fleet/bin/python .venvs/fleet/bin/python examples/fleets/job.py $(CORPUS) build/fleet --copies $(COPIES)

.venvs/fleet/installed: .FORCE
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	rm -rf build/lib build/bdist.*
	$(@D)/bin/python $(INSTALL) --prefer-binary . pyspark
	@touch $@

.FORCE:

pages: .venv/installed-for-docs
	$(BIN)/python docs/update_pages.py
	$(BIN)/python docs/terminal_picture.py
	$(BIN)/python docs/view_picture.py
	$(BIN)/python docs/man_page.py

docs: .venv/installed-for-docs
	$(BIN)/python docs/site/build.py build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file build/docs/mkdocs.yml
	@echo 'build/docs/site/index.html'

# Includes the libraries that create the data of the examples.
.venv/installed-for-docs: $(SOURCES) | $(BIN)/python
	$(BIN)/python $(INSTALL) --editable '.[data,docs]' $(STRICT)
	@touch .venv/installed $@

# Needs npm. What is built is editors/vscode/*.vsix; Neovim is tried if it is installed.
editors: .venv/installed-for-development
	$(BIN)/python editors/make_vscode.py
	cd editors/vscode && npm ci --no-audit --no-fund && npm run package
	$(BIN)/python -m pytest -q tests/test_editors.py

build: .venv/installed-for-development
	rm -rf dist
	$(BIN)/python -m build

clean:
	rm -rf build dist .venv .venvs *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
