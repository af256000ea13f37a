# Two commands do all the set-up: `make demo` runs the main job, `make test` passes the tests.
# `make help` lists the rest. Everything lives in .venv and build; `make clean` removes both.

VENV := .venv
BIN := $(VENV)/bin
FUZZ_SECONDS ?= 120
FUZZ_SEED ?= 0
SOURCES := $(shell find cpp python -name '*.[chp]pp' -o -name '*.py' -o -name '*.pyi') CMakeLists.txt pyproject.toml
# Not isolated, so that the build folder is used again and only what changed is compiled.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -Cbuild-dir=build/venv

.PHONY: help demo demo-aws engine test check lint types format native sanitize doctest notebooks faults bench fuzz pythons clean
.DEFAULT_GOAL := help
# Targets share one virtual environment and one build folder.
.NOTPARALLEL:

help:
	@echo "make demo       sample world in an embedded store, and its plan"
	@echo "make demo-aws   from AWS to a failover, against fakes and DynamoDB Local on this machine; needs Java and Maven"
	@echo "make test       the tests"
	@echo "make check      what CI runs besides: lint, types, native tests under sanitizers, doctests, notebooks"
	@echo "make faults     kill -9, full disks and flipped bits, many times over"
	@echo "make sanitize   native tests, and pytest on the extension, each under ASan + UBSan and under TSan"
	@echo "make bench      benchmarks, each checked against its slow twin first; writes the tables of bench/README.md"
	@echo "make fuzz       fuzz every reader, guided by coverage, for FUZZ_SECONDS=120 in all; FUZZ_SEED=0 is other luck"
	@echo "make format     rewrite Python and C++ in the house style"
	@echo "make pythons    install and run the tests on every Python 3.10-3.13 found"
	@echo "make clean      remove .venv and build"

demo: $(VENV)/.demo
	$(BIN)/surgetank demo

demo-aws: engine $(VENV)/.test
	@$(BIN)/python tests/demo_aws.py

test: $(VENV)/.test build/dynamodb/.there
	$(BIN)/pytest -n auto

check: lint types native doctest notebooks

lint: $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run --Werror $$(find cpp tests/native -name '*.[ch]pp')
	$(BIN)/nbstripout --verify notebooks/*.ipynb

types: $(VENV)/.check
	$(BIN)/mypy

native: $(VENV)/.check
	sh .ci/sanitize asan native $(BIN)

# One after the other, since each uses all cores; `make sanitize` alone runs `native` as well.
sanitize: native
	sh .ci/sanitize asan python $(BIN)
	sh .ci/sanitize tsan native $(BIN)
	sh .ci/sanitize tsan python $(BIN)

# The installed package is tested, not the folder: the folder has no compiled core.
doctest: $(VENV)/.check
	$(BIN)/pytest --doctest-modules --pyargs surgetank -p no:cacheprovider

notebooks: $(VENV)/.check
	$(BIN)/pytest --nbmake --nbmake-timeout=300 -W default notebooks

# Kills and flipped bits at other places than in `make test`, and more of them: 200 imports of a million rows, 40,000
# calls of processes that reserve, and 20,000 of them in DynamoDB.
faults: $(VENV)/.test build/dynamodb/.there
	SURGETANK_FAULTS=20 $(BIN)/pytest -n auto tests/test_store_faults.py tests/test_store_files.py \
	  tests/test_store_processes.py tests/test_import_killed.py tests/test_reservations_killed.py \
	  tests/test_reservations_machine.py tests/test_reservations_damage.py tests/test_collect_resume.py \
	  tests/test_collect_large.py tests/test_dynamodb_between.py tests/test_store_twin.py tests/test_dynamodb_killed.py

bench: $(VENV)/.bench
	$(BIN)/python bench/_page.py --write
	$(BIN)/python bench/bench_spikes_accuracy.py --write
	$(BIN)/python bench/bench_spikes.py --write
	$(BIN)/python bench/bench_headroom.py --write
	$(BIN)/python bench/bench_allocation.py --write
	$(BIN)/python bench/bench_recovery.py --write
	$(BIN)/python bench/bench_backtest.py --write
	$(BIN)/python bench/bench_backtest_policies.py --write
	$(BIN)/python bench/bench_forecast.py --write
	$(BIN)/python bench/callgrind.py --write
	$(BIN)/python bench/growth.py --write
	$(BIN)/python bench/growth_allocation.py --write
	$(BIN)/python bench/growth_backtest.py --write
	$(BIN)/python bench/bench_quantile.py --write
	$(BIN)/python bench/out_of_sample.py --write
	$(BIN)/python bench/bench_import.py --write
	$(BIN)/python bench/bench_reservations.py --write

format: $(VENV)/.check
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(find cpp tests/native -name '*.[ch]pp')

fuzz: $(VENV)/.test
	sh .ci/fuzz $(FUZZ_SECONDS) $(FUZZ_SEED)

pythons:
	sh .ci/pythons

clean:
	rm -rf $(VENV) build

# The virtual environment and what builds the extension: the requirements of pyproject.toml, and cmake and ninja.
$(VENV)/.tools: pyproject.toml
	@sh .ci/prerequisites
	test -x $(BIN)/python || "$$(sh .ci/prerequisites --python)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet cmake ninja $$($(BIN)/python .ci/build_requires.py)
	@touch $@

$(VENV)/.demo: $(VENV)/.tools $(SOURCES)
	$(INSTALL) .
	@touch $@

$(VENV)/.test: $(VENV)/.tools $(SOURCES)
	$(INSTALL) '.[test]'
	@touch $(VENV)/.demo $@

$(VENV)/.check: $(VENV)/.tools $(SOURCES)
	$(INSTALL) '.[check]'
	@touch $(VENV)/.demo $(VENV)/.test $@

# Apart from .check, so that checking a change needs no numba.
$(VENV)/.bench: $(VENV)/.tools $(SOURCES)
	$(INSTALL) '.[bench]'
	@touch $(VENV)/.demo $(VENV)/.test $(VENV)/.check $@

# Where it cannot be brought, it says so and is tried again the next time: the tests that need it skip.
build/dynamodb/.there: .ci/dynamodb $(wildcard tests/dynamodb/*)
	@sh .ci/dynamodb

# For what cannot do without: the line that says why it is not there is .ci/dynamodb's.
engine: build/dynamodb/.there
	@test -e $<
