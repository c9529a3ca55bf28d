# What a run prints when it begins, ends or fails. This file holds functions only.
import shlex

LEAST_BYTES = 2**20  # room for Snakemake's own notes on a run's files
MISSING = Path(in_run("missing.md"))


def refuse_unwritable(path):
    """Stop before anything is started where its files could not be written."""
    folder = Path(path).absolute()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WorkflowError(
            f"{folder}: this user may not write there (permissions, or mounted read-only); nothing was started. "
            "Change that, or run elsewhere: snakemake --directory FOLDER"
        )
    free = shutil.disk_usage(folder).free
    if free < LEAST_BYTES:
        raise WorkflowError(
            f"{folder}: the disk has {free / 2**20:.1f} MiB free; nothing was started. Make room, or run on a larger "
            "disk: snakemake --directory FOLDER"
        )


refuse_unwritable(".snakemake/locks")


def begin():
    refuse_unwritable(in_run(""))
    remove_leftovers()
    MISSING.unlink(missing_ok=True)
    look_at_jobs_once()


def look_at_jobs_once():
    """Have Snakemake look for jobs to start when one ends, not every second as well.

    With its limit of jobs a second (100, which nothing here comes near) it looks again a second after each look, for
    ever, and each job that ends begins another such series: after two hundred jobs that takes a core (9.27).
    """
    workflow.scheduler.job_rate_limiter = None


def remove_leftovers():
    """Delete half-written files of jobs that were killed; this run has the lock, no other writes here."""
    for partial in Path(in_run("")).rglob(".*.????????.partial"):
        shutil.rmtree(partial) if partial.is_dir() else partial.unlink()


def say_where_to_look():
    if not Path(in_run("claims.md")).exists():
        return
    print(
        f"\nFinished. Open {in_run('report.html')}; verdicts: {in_run('claims.md')}; tables: {in_run('tables/')}"
    )


def say_what_is_missing():
    """Print what failed, why, and how to go on; write that and what is missing for it to missing.md."""
    dag = workflow.dag
    failed = {
        part
        for job in workflow.scheduler.failed
        for part in getattr(job, "jobs", [job])
    }
    unfinished = set(dag.needrun_jobs()) - failed
    lost = unfinished & set(dag.bfs(dag.depending, *failed))
    summary = [
        f"Jobs that failed: {len(failed)}",
        *sorted(f"- {name_of(job)}: {last_words_of(job)}" for job in failed),
        f"Not started, since they need what these would have made: {len(lost)}",
        f"Not finished when the run stopped (--keep-going finishes them first): {len(unfinished - lost)}",
        "The same command goes on where this run stopped, once the cause is removed: "
        + shlex.join(["snakemake", *sys.argv[1:]]),
        "What to do about which message: docs/when_it_stops.md",
    ]
    listing = sorted(
        f"- {file} ({'from an earlier run, out of date' if Path(file).exists() else 'not there'})"
        for job in failed | unfinished
        for file in job.output
    )
    title = f"# What is missing in {in_run('')}"
    MISSING.parent.mkdir(parents=True, exist_ok=True)
    MISSING.write_text("\n".join([title, "", *summary, "", *listing, ""]))
    print("", *summary, f"What is missing: {MISSING}", sep="\n", file=sys.stderr)


def name_of(job):
    return f"{job.rule.name} {'/'.join(job.wildcards)}".strip()


def last_words_of(job):
    """Why a job failed: the message in its log, else the last line of a traceback, else that something stopped it."""
    log = Path(job.log[0])
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    said = [line for line in lines if line.startswith("error: ")]
    if said:
        return said[-1].removeprefix("error: ")
    if any(line.startswith("Traceback") for line in lines):
        return f"{lines[-1]} (traceback in {log})"
    return f"ended without a message, as a job does that is killed, by a person or for want of memory ({log})"
