# Everything here sets itself up: Python >= 3.11 and pip are all it asks for.
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v "$$p"; break; }; done)
UV := .tools/bin/uv
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# the tests wait more than they work
JOBS ?= 3

.PHONY: demo test smoke check machine soak torture bench bench-million bench-connections bench-wrapper bench-build bench-cost mutation lock clean setup
setup: .venv/.ready

$(UV):
	@test -n "$(PYTHON)" || { echo "segue needs Python 3.11 or newer; none was found. hint: make PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -m pip install --quiet --root-user-action=ignore --target .tools uv

# uv makes the virtual environment, so Debian's python3-venv is not needed.
.venv/.ready: requirements.lock pyproject.toml | $(UV)
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
# once, as pip does: where PYTHONDONTWRITEBYTECODE is set, every process of every test would do it again
	@$(BIN)/python -m compileall -q src tests benchmarks
	@touch $@

demo: setup
	@$(BIN)/segue demo

test: setup
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not soak and not machine"

# the tests that say the most in the least time
smoke: setup
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not soak and not machine" tests/unit tests/process/test_deploy.py tests/process/test_gate.py \
	  tests/process/test_bad_sources.py tests/nginx

# real systemd, nginx and sudo; as root, with what tests/machine/install.sh installs; the tests of a file may share a host
machine: setup
	@$(BIN)/python -m tests.support.machine.layers
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m "machine and not soak" tests/machine

soak: setup
	@$(BIN)/python -m pytest -m "soak and not torture"
	@SEGUE_FUZZ=long $(BIN)/python -m pytest -n $(JOBS) tests/fuzz tests/unit

# about 25 minutes, on a machine that does nothing else, and five more to build uWSGI for the first time;
# writes docs/benchmarks/peers.md; make bench ONLY="segue hup" runs some rows, and prints them
bench: setup
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-bench
	@$(UV) pip install --quiet --python .venv-bench/bin/python --requirements requirements.lock --group bench
	@$(UV) pip install --quiet --python .venv-bench/bin/python --no-deps --editable .
	@.venv-bench/bin/python -m benchmarks.peers $(patsubst %,--only %,$(ONLY))

# about 40 minutes, on a machine that does nothing else; writes docs/benchmarks/million.md
bench-million: setup
	@$(BIN)/python -m benchmarks.million

# about ten minutes, on a machine that does nothing else; writes docs/benchmarks/connections.md
bench-connections: setup
	@$(BIN)/python -m benchmarks.connections

# seven minutes, on a machine that does nothing else; writes docs/benchmarks/wrapper.md
bench-wrapper: setup
	@$(BIN)/python -m benchmarks.wrapper

# about four minutes; writes docs/benchmarks/build.md
bench-build: setup
	@$(BIN)/python -m benchmarks.build

# about five minutes, with a host that it boots where it is run as root; writes docs/benchmarks/cost.md
bench-cost: setup
	@$(BIN)/python -m benchmarks.cost

# about five minutes; docs/mutation.md tells what survived last, and why
mutation: setup
	@$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-mutation
	@$(UV) pip install --quiet --python .venv-mutation/bin/python --requirements requirements.lock --group mutation
	@rm -rf mutants
	@nice -n 19 .venv-mutation/bin/mutmut run
	@.venv-mutation/bin/mutmut results

# everybody's death at every phase, and all that a machine may refuse; the same lots for the same SEED
torture: setup
	@$(BIN)/python -m pytest -n $(JOBS) -m torture --page=docs/torture.md

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

lock: | $(UV)
	@$(UV) pip compile --quiet --universal --generate-hashes --group dev --no-header pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .venv-bench .venv-mutation mutants .tools .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist
