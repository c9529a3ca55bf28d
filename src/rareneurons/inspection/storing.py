"""Write what was measured into a folder."""

from pathlib import Path

from rareneurons.inspection.measurements import Measurements


def save(measurements: Measurements, folder: str | Path) -> list[Path]:
    """Write every table as Parquet under its name, as a run's checkpoint folder has them.

    Args:
        measurements: what :func:`measure` returned.
        folder: is made if it is not there. Files of the same names are replaced.

    Returns:
        The files.

    Examples:
        >>> sorted(file.name for file in rareneurons.save(found, folder))[:2]
        ['coordination.parquet', 'group_match.parquet']
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    files = []
    for name, table in {**measurements.tables, **measurements.products}.items():
        files.append(Path(folder) / f"{name}.parquet")
        table.to_parquet(files[-1], index=False)
    return files
