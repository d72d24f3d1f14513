# Every target makes its own environment; see CONTRIBUTING.md. PYTHON=… chooses the interpreter.
.POSIX:
.PHONY: help demo test check fmt proto bench soak fuzz report conformance clean

ENV = .venv
DEMO_ENV = .venv-demo
BIN = $(ENV)/bin
ARGS =

help:
	@echo "make demo   a short tour of a plugin at work, then it stays up (ONCE=1: exit after the tour; BACKEND=trio)"
	@echo "make test   the tests; ARGS='-k name -x' reaches pytest"
	@echo "make check  lint, types, layers, generated files"
	@echo "make fmt    format the code"
	@echo "make proto  regenerate everything generated from proto/"
	@echo "make bench  measure, side by side with peers"
	@echo "make soak   the long runs"
	@echo "make fuzz   fuzz the protocols with atheris, FUZZ_SECONDS for each target"
	@echo "make report conformance, interop and attacks beside other servers"
	@echo "make conformance  h2spec against our server on both backends, where Go is present"

$(ENV)/ready: tools/make_env.sh pyproject.toml requirements-dev.txt constraints.txt
	@tools/make_env.sh $(ENV) -r requirements-dev.txt
	@touch $@

$(DEMO_ENV)/ready: tools/make_env.sh pyproject.toml constraints.txt
	@tools/make_env.sh $(DEMO_ENV) -c constraints.txt -e '.[dev,trio]'
	@touch $@

demo: $(DEMO_ENV)/ready
	@$(DEMO_ENV)/bin/mm-plugin dev examples/guard --tour $(if $(ONCE),--once) $(if $(BACKEND),--backend $(BACKEND)) $(ARGS)

test: $(ENV)/ready
	@$(BIN)/python -m pytest -n auto --dist worksteal $(ARGS)

check: $(ENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python tools/proto.py --check
	$(BIN)/python tools/hook_docs.py --check
	$(BIN)/python tools/hook_types.py --check
	$(BIN)/python tools/http_states.py --check
	$(BIN)/python tools/check_wire.py
	$(BIN)/python -m mm_plugin.testing.parity

fmt: $(ENV)/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: $(ENV)/ready
	$(BIN)/python tools/proto.py
	$(BIN)/python tools/hook_docs.py
	$(BIN)/python tools/hook_types.py
	$(BIN)/python tools/http_states.py

bench: $(ENV)/ready
	$(BIN)/python -m benchmarks $(ARGS)

soak: $(ENV)/ready
	$(BIN)/python -m benchmarks.soak $(ARGS)

conformance: $(ENV)/ready
	@$(BIN)/python -m tools.conformance $(ARGS)

fuzz: $(ENV)/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check atheris || true
	$(BIN)/python -m fuzz $(ARGS)

report: $(ENV)/ready
	$(BIN)/python -m tools.report $(ARGS)

clean:
	rm -rf $(ENV) $(DEMO_ENV) dist
