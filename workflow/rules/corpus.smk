# Documents, tokenizers, and the token counts of the training corpus.


# Local rules run where snakemake was started. Only there do the retries of a rule not multiply.
rule fetch_corpus:
    output:
        in_run("inputs/downloads/{corpus}/{file}"),
    log:
        in_run("logs/fetch_corpus/{corpus}/{file}.log"),
    benchmark:
        in_run("benchmarks/fetch_corpus/{corpus}/{file}.tsv")
    wildcard_constraints:
        corpus=one_of(named(CORPORA, "hub")),
        file="[^/]+",
    retries: 2
    localrule: True
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        corpus=lambda wildcards: CORPORA[wildcards.corpus],
        code=code_of("fetch_corpus"),
    script:
        address("../../scripts/fetch_corpus.py")


rule fetch_dataset:
    input:
        own_corpus_files,
    output:
        in_run("inputs/downloads/{corpus}/documents.parquet"),
    log:
        in_run("logs/fetch_dataset/{corpus}.log"),
    benchmark:
        in_run("benchmarks/fetch_dataset/{corpus}.tsv")
    wildcard_constraints:
        corpus=one_of(named(CORPORA, "datasets")),
    retries: 2
    localrule: True
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        corpus=lambda wildcards: CORPORA[wildcards.corpus],
        files=lambda wildcards: states_of_own_files(corpus=wildcards.corpus),
        code=code_of("fetch_dataset"),
    script:
        address("../../scripts/fetch_dataset.py")


rule corpus:
    input:
        corpus_files,
    output:
        documents=in_run("inputs/corpora/{corpus}/documents.parquet"),
        manifest=in_run("inputs/corpora/{corpus}/manifest.json"),
    log:
        in_run("logs/corpus/{corpus}.log"),
    benchmark:
        in_run("benchmarks/corpus/{corpus}.tsv")
    conda:
        "../../envs/rareneurons.yaml"
    threads: 2
    resources:
        **needs("corpus"),
    params:
        corpus=lambda wildcards: CORPORA[wildcards.corpus],
        files=lambda wildcards: states_of_own_files(corpus=wildcards.corpus),
        code=code_of("build_corpus"),
    script:
        address("../../scripts/build_corpus.py")


rule train_tokenizer:
    input:
        documents=lambda wildcards: in_run(
            f"inputs/corpora/{TOKENIZERS[wildcards.tokenizer]['corpus']}/documents.parquet"
        ),
    output:
        folder=directory(in_run("inputs/tokenizers/{tokenizer}")),
    log:
        in_run("logs/train_tokenizer/{tokenizer}.log"),
    benchmark:
        in_run("benchmarks/train_tokenizer/{tokenizer}.tsv")
    wildcard_constraints:
        tokenizer=one_of(named(TOKENIZERS, "train")),
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("train_tokenizer"),
    params:
        vocabulary_size=lambda wildcards: TOKENIZERS[wildcards.tokenizer][
            "vocabulary_size"
        ],
        code=code_of("train_tokenizer"),
    script:
        address("../../scripts/train_tokenizer.py")


rule fetch_tokenizer:
    output:
        folder=directory(in_run("inputs/tokenizers/{tokenizer}")),
    log:
        in_run("logs/fetch_tokenizer/{tokenizer}.log"),
    benchmark:
        in_run("benchmarks/fetch_tokenizer/{tokenizer}.tsv")
    wildcard_constraints:
        tokenizer=one_of(named(TOKENIZERS, "hub")),
    retries: 2
    localrule: True
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        repository=lambda wildcards: TOKENIZERS[wildcards.tokenizer]["repository"],
        revision=lambda wildcards: TOKENIZERS[wildcards.tokenizer]["revision"],
        code=code_of("fetch_tokenizer"),
    script:
        address("../../scripts/fetch_tokenizer.py")


rule unpack_gguf_tokenizer:
    input:
        file=lambda wildcards: own(TOKENIZERS[wildcards.tokenizer]["file"]),
    output:
        folder=directory(in_run("inputs/tokenizers/{tokenizer}")),
    log:
        in_run("logs/unpack_gguf_tokenizer/{tokenizer}.log"),
    benchmark:
        in_run("benchmarks/unpack_gguf_tokenizer/{tokenizer}.tsv")
    wildcard_constraints:
        tokenizer=one_of(named(TOKENIZERS, "gguf")),
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("unpack_gguf"),
    params:
        states=lambda wildcards, input: own_files.states_of([input.file]),
        code=code_of("unpack_gguf_tokenizer"),
    script:
        address("../../scripts/unpack_gguf_tokenizer.py")


rule token_stream:
    input:
        documents=lambda wildcards: in_run(
            f"inputs/corpora/{TOKENIZERS[wildcards.tokenizer]['counts']['corpus']}/documents.parquet"
        ),
        tokenizer=lambda wildcards: tokenizer_input(wildcards.tokenizer),
    output:
        stream=in_run("inputs/counts/{tokenizer}/stream.npy"),
        counts=in_run("inputs/counts/{tokenizer}/counts.npy"),
    log:
        in_run("logs/token_stream/{tokenizer}.log"),
    benchmark:
        in_run("benchmarks/token_stream/{tokenizer}.tsv")
    wildcard_constraints:
        tokenizer=one_of(counted_by("corpus")),
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("token_stream"),
    params:
        tokenizer=tokenizer_folder,
        files=lambda wildcards: states_of_own_files(tokenizer=wildcards.tokenizer),
        code=code_of("count_tokens"),
    script:
        address("../../scripts/count_tokens.py")


rule fetch_counts:
    output:
        in_run("inputs/counts/{tokenizer}/counts.npy"),
    log:
        in_run("logs/fetch_counts/{tokenizer}.log"),
    benchmark:
        in_run("benchmarks/fetch_counts/{tokenizer}.tsv")
    wildcard_constraints:
        tokenizer=one_of(counted_by("url")),
    retries: 2
    localrule: True
    conda:
        "../../envs/rareneurons.yaml"
    threads: 1
    resources:
        **needs("small"),
    params:
        url=lambda wildcards: TOKENIZERS[wildcards.tokenizer]["counts"]["url"],
        sha256=lambda wildcards: TOKENIZERS[wildcards.tokenizer]["counts"]["sha256"],
        code=code_of("fetch_counts"),
    script:
        address("../../scripts/fetch_counts.py")
