# Messages of a run when it begins, ends or fails, from src/rareneurons/planning/outcome.py; functions only.
import shlex
from importlib.metadata import version

from rareneurons.planning.devices import refuse_build_without

from rareneurons.errors import RunError
from rareneurons.planning import outcome

# The run's folder, below the prefix of a module that has one.
RUN_FOLDER = Path(workflow.modifier.modify_path(in_run("claims.md"))).parent
MISSING = RUN_FOLDER / "missing.md"


def refuse_unwritable(path):
    try:
        outcome.refuse_unwritable(path)
    except RunError as error:
        raise WorkflowError(str(error)) from None


def refuse_braces(path):
    """Stop where Snakemake would take a part of the project's own path for a variable, in every script's name."""
    if set("{}") & set(str(path)):
        raise WorkflowError(
            f"{path}: this folder's path holds braces, which Snakemake takes for a variable; nothing was started. "
            "Move the project, or start it through a symbolic link without braces"
        )


refuse_unwritable(".snakemake/locks")
refuse_braces(workflow.current_basedir)


def begin():
    refuse_unwritable(RUN_FOLDER)
    refuse_absent_device()
    outcome.remove_leftovers(RUN_FOLDER)  # this run has the lock, no other writes here
    MISSING.unlink(missing_ok=True)
    look_at_jobs_once()


def refuse_absent_device():
    """Stop before any job where jobs run here, in this environment, and its PyTorch has no such device."""
    elsewhere = (
        workflow.non_local_exec or workflow.deployment_settings.deployment_method
    )
    if not elsewhere:
        try:
            refuse_build_without(config["device"], version("torch"))
        except ConfigurationError as error:
            raise WorkflowError(f"Configuration: {error}") from None


def look_at_jobs_once():
    """Have Snakemake look for jobs to start only when a job ends, and not every second as well.

    Snakemake limits jobs per second (100, which is never reached here). The limiter reschedules itself every second and
    never stops, and each job that ends starts another one. After two hundred jobs this takes a core (Snakemake 9.27).
    """
    workflow.scheduler.job_rate_limiter = None


def say_where_to_look():
    if not (RUN_FOLDER / "claims.md").exists():
        return
    print(
        f"\nFinished. Open {RUN_FOLDER}/report.html; verdicts: {RUN_FOLDER}/claims.md; tables: {RUN_FOLDER}/tables/"
    )


def say_what_is_missing():
    """Print what failed, why, and how to go on; write that and what is missing for it to missing.md.

    Jobs of other rules than these, of a workflow that imports them, are left out.
    """
    dag = workflow.dag
    failed = {
        part
        for job in workflow.scheduler.failed
        for part in getattr(job, "jobs", [job])
        if is_of_run(part)
    }
    unfinished = set(filter(is_of_run, dag.needrun_jobs())) - failed
    if not failed | unfinished:
        return
    lost = unfinished & set(dag.bfs(dag.depending, *failed))
    summary = outcome.summary(
        [outcome.Failure(name_of(job), Path(job.log[0])) for job in failed],
        len(lost),
        len(unfinished - lost),
        shlex.join(["snakemake", *sys.argv[1:]]),
    )
    listing = outcome.listing(
        [file for job in failed | unfinished for file in job.output]
    )
    title = f"# What is missing in {RUN_FOLDER}/"
    MISSING.parent.mkdir(parents=True, exist_ok=True)
    MISSING.write_text("\n".join([title, "", *summary, "", *listing, ""]))
    print("", *summary, f"What is missing: {MISSING}", sep="\n", file=sys.stderr)


def is_of_run(job):
    return any(Path(log).is_relative_to(RUN_FOLDER) for log in job.log)


def name_of(job):
    return f"{job.rule.name} {'/'.join(job.wildcards)}".strip()
