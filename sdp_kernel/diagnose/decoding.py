"""Whether a table's records can be decoded at all: counted by Flink, seen in a few of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sdp_kernel.diagnose.findings import Finding, count
from sdp_kernel.errors import SdpError
from sdp_kernel.kafka.decode import FORMATS, REGISTRY_FORMATS
from sdp_kernel.kafka.sample import sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from sdp_kernel.diagnose.tables import Table
    from sdp_kernel.kafka.cluster import Cluster
    from sdp_kernel.kafka.sample import Sample

_SAMPLED = 20
_SAMPLE_S = 1.5
_SAMPLE_BYTES = 4 << 20
_LONGEST_REASON = 160
_MOST_NAMES = 5
#: Flink's names of formats, by those of samples; others are left to detection.
_NAMES = {"json": "json", "csv": "csv"}


def look(cluster: Cluster, table: Table, mask: Callable[[Any], Any] | None) -> Sample | None:
    """Read the newest few records of a table's first topic, masked; None where there is no reading them."""
    wanted = _NAMES.get(table.format)
    try:
        return sample(
            cluster,
            table.topics[0],
            n=_SAMPLED,
            format=wanted if wanted in FORMATS and wanted not in REGISTRY_FORMATS else None,
            timeout=_SAMPLE_S,
            max_bytes=_SAMPLE_BYTES,
            mask=mask,
        )
    except (SdpError, IndexError):
        return None


def undecodable(
    table: Table, seen: Sample | None, *, read: int | None, decoded: int | None
) -> Finding | None:
    """Say whether nothing of what is read can be decoded.

    Parameters
    ----------
    read, decoded
        Records that the job's source has read, and rows it made of them; None where not known.
    """
    rows = len(seen) if seen is not None else 0
    errors = seen.errors if seen is not None else 0
    tombstones = seen.tombstones if seen is not None else 0
    counted = bool(read) and decoded == 0
    if not counted and not (read is None and table.skips_errors and rows and errors == rows):
        return None
    evidence: dict[str, Any] = {
        "table": table.name,
        "topic": ", ".join(table.topics),
        "format": table.format,
        "read": read,
        "decoded": decoded,
        "sampled": rows,
        "sampled_errors": errors,
        "sampled_tombstones": tombstones,
    }
    done = (
        f"{count(read or 0, 'record')} of {table.name} {'is' if read == 1 else 'are'} read, and not one"
        if counted
        else f"not one of the newest {count(rows, 'record')} of {table.name}"
    )
    if counted and rows and tombstones == rows:
        return Finding(
            "only-tombstones",
            f"{done} has a value: the newest {count(rows, 'record')} are tombstones",
            f"%sample {table.topics[0]} shows them; a changelog topic is read with upsert-kafka",
            evidence=evidence,
        )
    reason = _reason(seen)
    why = f"; the newest: {reason}" if reason else ""
    skipped = ", and such records are skipped without a word" if table.skips_errors else ""
    form = f" as {table.format}" if table.format else ""
    return Finding(
        "undecodable",
        f"{done} can be decoded{form}{skipped}{why}",
        f"%sample {table.topics[0]} shows them; %table {table.topics[0]} makes a CREATE TABLE that fits",
        evidence=evidence,
    )


def missing_fields(table: Table, seen: Sample | None, dropping: str) -> Finding | None:
    """Say which columns no record has a field for, and so are NULL in every row.

    Parameters
    ----------
    dropping
        Descriptions of operators that drop everything: it explains the silence where one of them
        names such a column.
    """
    if seen is None or table.format != "json" or seen.errors == len(seen):
        return None
    fields = {seen.fields.get(name, name) for name in seen.value_columns}
    missing = [name for name in table.columns if name not in fields]
    if not missing or not fields:
        return None
    close = {name: alike for name in missing if (alike := _alike(name, fields))}
    shown = ", ".join(missing[:_MOST_NAMES]) + (" and more" if len(missing) > _MOST_NAMES else "")
    meant = "; ".join(f"{name} is {alike} there" for name, alike in close.items())
    fact = (
        f"none of the newest {count(len(seen), 'record')} of {table.name} has the field "
        f"{shown}, so {'it is' if len(missing) == 1 else 'they are'} NULL in every row"
    )
    return Finding(
        "no-such-field",
        f"{fact}: {meant}" if meant else fact,
        f"names are told apart by case; %sample {table.topics[0]} shows the fields",
        certain=any(re.search(rf"\b{re.escape(name)}\b", dropping) for name in missing),
        evidence={"table": table.name, "missing": missing, "fields": sorted(fields)[:50]},
    )


def _alike(name: str, fields: set[str]) -> str:
    flat = name.lower().replace("_", "")
    return next((field for field in sorted(fields) if field.lower().replace("_", "") == flat), "")


def _reason(seen: Sample | None) -> str:
    if seen is None or not seen.errors or "_error" not in seen.table.column_names:
        return ""
    reasons = [str(reason) for reason in seen.table.column("_error").to_pylist() if reason]
    if not reasons:
        return ""
    return reasons[-1] if len(reasons[-1]) <= _LONGEST_REASON else f"{reasons[-1][:_LONGEST_REASON]}…"
