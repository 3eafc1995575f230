# Everything this repository can do, from a fresh clone. It needs make and Python 3.11 or newer; the rest is installed
# into .venv. Choose another Python with `make play PYTHON=python3.12`.

PYTHON ?= python3
FUZZ_SECONDS ?= 600
# Games mostly wait: two cores have time for four.
TEST_WORKERS ?= 4
BIN := .venv/bin
# Bytecode is kept, or every worker and every game would compile everything again.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
PIP := $(BIN)/python -m pip --disable-pip-version-check install

.PHONY: help setup play stop demo quick test witness clients games fuzz check bench clean

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 16

setup: .venv/.dev server/conf/settings.py  ## install everything into .venv and lay Evennia's stock files

play: .venv/.runtime  ## start the game in the background; say where it answers and how to log in
	@$(BIN)/python -m uniwizard.server.game.play

stop:  ## stop the game
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m uniwizard.server.game.play stop; \
	else echo "Uniwizard is not running; nothing to stop."; fi

demo: .venv/.runtime server/conf/settings.py  ## play a telnet session through every part and print it
	@$(BIN)/python -m uniwizard.server.game.demo

quick: .venv/.dev server/conf/settings.py  ## run the tests that start no process: a minute
	@HYPOTHESIS_PROFILE=quick $(PYTEST) -q -n auto -m "not (game or slow or witness)"

test: .venv/.dev server/conf/settings.py  ## run all tests but the witnesses; hold the coverage of agent/
	@$(PYTEST) -n $(TEST_WORKERS) -m "not witness" --cov

witness: .venv/.dev server/conf/settings.py  ## ask independent programs, which are downloaded or compiled first
	@UNIWIZARD_WITNESSES=all $(PYTEST) -m witness

clients: .venv/.dev  ## ask real clients and agents through the door; installs them the first time
	@$(BIN)/python tests/witnesses/clients/table.py

games: .venv/.dev  ## take five games of other people's through install, play, upgrade and uninstall
	@$(BIN)/python tests/witnesses/games.py

fuzz: .venv/.dev  ## feed every decoder with what nobody meant, for FUZZ_SECONDS (600)
	@$(BIN)/python tests/fuzz/fuzz_decoders.py --seconds $(FUZZ_SECONDS)

check: .venv/.dev server/conf/settings.py  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: .venv/.dev server/conf/settings.py  ## run the benchmarks, one after the other
	@for benchmark in tests/benchmarks/*.py; do echo "== $$benchmark"; $(BIN)/python "$$benchmark" || exit 1; done

clean: stop  ## stop the game and remove .venv and caches; the game's database stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stock files come from the Evennia that is installed, so they are laid and not tracked.
server/conf/settings.py: | .venv/.runtime
	@$(BIN)/python -m uniwizard.server.game.install .

.venv/.runtime: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Uniwizard needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)." \
			"Name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Making .venv and installing what the game runs on; the first time this takes a minute or two ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) -e '.[game]'
	@touch $@

.venv/.dev: .venv/.runtime
	@echo "Installing what the tests and checks need ..."
	@$(PIP) -e '.[game,dev]'
	@mkdir -p .venv/rooms/uniwizard
	@for room in agent commands configs server typeclasses world; do ln -sfn ../../../$$room .venv/rooms/uniwizard/$$room; done
	@touch $@
