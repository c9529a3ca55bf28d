# The workflow with its locked packages: docker build --tag rareneurons .
# With a GPU: docker build --build-arg TORCH=cuda --tag rareneurons . && docker run --gpus all ...
# `make test-container` runs these steps in a plain Debian tree. It reads FROM debian, ENV, WORKDIR, COPY, ARG and RUN.
FROM debian:bookworm-slim
ARG TORCH=cpu
ENV DEBIAN_FRONTEND=noninteractive
ENV PIP_NO_CACHE_DIR=1
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates git make python3 python3-venv && rm -rf /var/lib/apt/lists/*
WORKDIR /rareneurons
# The packages come first, so that an edit of the workflow does not install them again.
COPY Makefile pyproject.toml README.md LICENSE ./
COPY envs envs/
COPY src src/
RUN make TORCH=$TORCH .venv/installed
ENV PATH=/rareneurons/.venv/bin:/usr/local/bin:/usr/bin:/bin
COPY Snakefile config.yaml ./
COPY config config/
COPY workflow workflow/
COPY scripts scripts/
COPY docs docs/
RUN ln -s workflow/profiles profiles && mkdir results
CMD ["snakemake", "--cores", "all", "--configfile", "config/demo.yaml"]
