# Documents, tokenizers, and the token counts of the training corpus.


localrules:
    fetch_corpus,
    fetch_tokenizer,
    fetch_counts,


rule fetch_corpus:
    output:
        in_run("inputs/corpora/{corpus}/{file}"),
    log:
        in_run("logs/fetch_corpus/{corpus}/{file}.log"),
    wildcard_constraints:
        corpus=one_of(named(CORPORA, "hub")),
        file="[^/]+",
    benchmark:
        in_run("benchmarks/fetch_corpus/{corpus}/{file}.tsv")
    params:
        corpus=lambda wildcards: CORPORA[wildcards.corpus],
        code=code_of("fetch_corpus"),
    conda:
        "../../envs/rareneurons.yaml"
    script:
        "../../scripts/fetch_corpus.py"


def corpus_file(wildcards):
    entry = CORPORA[wildcards.corpus]
    if entry["source"] == "hub":
        return [in_run(f"inputs/corpora/{wildcards.corpus}/{Path(entry['file']).name}")]
    return [entry["file"]] if entry["source"] == "file" else []


rule corpus:
    input:
        corpus_file,
    output:
        documents=in_run("inputs/corpora/{corpus}/documents.parquet"),
        manifest=in_run("inputs/corpora/{corpus}/manifest.json"),
    log:
        in_run("logs/corpus/{corpus}.log"),
    benchmark:
        in_run("benchmarks/corpus/{corpus}.tsv")
    params:
        corpus=lambda wildcards: CORPORA[wildcards.corpus],
        code=code_of("build_corpus"),
    conda:
        "../../envs/rareneurons.yaml"
    script:
        "../../scripts/build_corpus.py"


rule train_tokenizer:
    input:
        documents=lambda wildcards: in_run(
            f"inputs/corpora/{TOKENIZERS[wildcards.tokenizer]['corpus']}/documents.parquet"
        ),
    output:
        folder=directory(in_run("inputs/tokenizers/{tokenizer}")),
    log:
        in_run("logs/train_tokenizer/{tokenizer}.log"),
    wildcard_constraints:
        tokenizer=one_of(named(TOKENIZERS, "train")),
    benchmark:
        in_run("benchmarks/train_tokenizer/{tokenizer}.tsv")
    params:
        vocabulary_size=lambda wildcards: TOKENIZERS[wildcards.tokenizer]["vocabulary_size"],
        code=code_of("train_tokenizer"),
    conda:
        "../../envs/rareneurons.yaml"
    script:
        "../../scripts/train_tokenizer.py"


rule fetch_tokenizer:
    output:
        folder=directory(in_run("inputs/tokenizers/{tokenizer}")),
    log:
        in_run("logs/fetch_tokenizer/{tokenizer}.log"),
    wildcard_constraints:
        tokenizer=one_of(named(TOKENIZERS, "hub")),
    benchmark:
        in_run("benchmarks/fetch_tokenizer/{tokenizer}.tsv")
    params:
        repository=lambda wildcards: TOKENIZERS[wildcards.tokenizer]["repository"],
        revision=lambda wildcards: TOKENIZERS[wildcards.tokenizer]["revision"],
        code=code_of("fetch_tokenizer"),
    conda:
        "../../envs/rareneurons.yaml"
    script:
        "../../scripts/fetch_tokenizer.py"


def counted_by(source):
    return [name for name, entry in TOKENIZERS.items() if entry["counts"]["source"] == source]


rule token_stream:
    input:
        documents=lambda wildcards: in_run(
            f"inputs/corpora/{TOKENIZERS[wildcards.tokenizer]['counts']['corpus']}/documents.parquet"
        ),
        tokenizer=lambda wildcards: tokenizer_folder(wildcards.tokenizer),
    output:
        stream=in_run("inputs/counts/{tokenizer}/stream.npy"),
        counts=in_run("inputs/counts/{tokenizer}/counts.npy"),
    log:
        in_run("logs/token_stream/{tokenizer}.log"),
    wildcard_constraints:
        tokenizer=one_of(counted_by("corpus")),
    benchmark:
        in_run("benchmarks/token_stream/{tokenizer}.tsv")
    params:
        code=code_of("count_tokens"),
    conda:
        "../../envs/rareneurons.yaml"
    script:
        "../../scripts/count_tokens.py"


rule fetch_counts:
    output:
        in_run("inputs/counts/{tokenizer}/counts.npy"),
    log:
        in_run("logs/fetch_counts/{tokenizer}.log"),
    wildcard_constraints:
        tokenizer=one_of(counted_by("url")),
    benchmark:
        in_run("benchmarks/fetch_counts/{tokenizer}.tsv")
    params:
        url=lambda wildcards: TOKENIZERS[wildcards.tokenizer]["counts"]["url"],
        sha256=lambda wildcards: TOKENIZERS[wildcards.tokenizer]["counts"]["sha256"],
        code=code_of("fetch_counts"),
    conda:
        "../../envs/rareneurons.yaml"
    script:
        "../../scripts/fetch_counts.py"


def counts_of_tokenizer(wildcards):
    counts = TOKENIZERS[wildcards.tokenizer]["counts"]
    if counts["source"] == "file":
        return counts["file"]
    return in_run(f"inputs/counts/{wildcards.tokenizer}/counts.npy")
