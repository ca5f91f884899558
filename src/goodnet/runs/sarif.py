"""Findings as SARIF 2.1.0, which services for code scanning read.

References:
    OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0, 2020.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import goodnet
from goodnet.errors import GoodnetError
from goodnet.inspection import ODDITIES, Finding, Rule
from goodnet.inspection.refusals import REFUSALS, RULES, refusal
from goodnet.runs.inspect import Inspection, inspect_file

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def inspect_for_sarif(
    path: Path, *, architecture: Path | None = None
) -> tuple[dict[str, Any], Inspection | GoodnetError]:
    """Look into a model file, and tell also of one that is refused.

    Returns:
        The findings as SARIF, plain data, and what the file holds, or why it is refused.

    Raises:
        GoodnetError: If the file cannot be opened at all, or the architecture is none.
    """
    try:
        found = inspect_file(path, architecture=architecture)
    except REFUSALS as error:
        return sarif(path, [refusal(error)], code=error.exit_code), error
    return sarif(path, found.findings, sha256=found.sha256), found


def sarif(
    path: Path, findings: Sequence[Finding], *, sha256: str = "", code: int = 0
) -> dict[str, Any]:
    """Findings of one file as SARIF.

    Args:
        path: The file, as it was given.
        findings: What was found.
        sha256: Of the file, where it is known.
        code: The exit code of the command.
    """
    rules = (*(rule for each in ODDITIES for rule in each.rules), *RULES)
    places = {rule.id: place for place, rule in enumerate(rules)}
    where = {"uri": _uri(path)}
    hashes = {"hashes": {"sha-256": sha256}} if sha256 else {}
    run = {
        "tool": {
            "driver": {
                "name": "GoodNet",
                "version": goodnet.__version__,
                "semanticVersion": goodnet.__version__,
                "rules": [_rule(rule) for rule in rules],
            }
        },
        "invocations": [{"executionSuccessful": True, "exitCode": code}],
        "artifacts": [{"location": where, **hashes}],
        "results": [_result(each, where, places[each.rule]) for each in findings],
        "columnKind": "unicodeCodePoints",
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.title() for word in rule.id.split("-")),
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.help},
        "help": {"text": rule.help},
        "defaultConfiguration": {"level": rule.level},
        "properties": {"tags": ["security"]},
    }


def _result(finding: Finding, where: dict[str, str], place: int) -> dict[str, Any]:
    # A binary file has no lines, but services show nothing that lies on none.
    physical = {"artifactLocation": {**where, "index": 0}, "region": {"startLine": 1}}
    location: dict[str, Any] = {"physicalLocation": physical}
    if finding.layer:
        named = {"name": finding.layer, "fullyQualifiedName": finding.layer, "kind": "member"}
        location["logicalLocations"] = [named]
    return {
        "ruleId": finding.rule,
        "ruleIndex": place,
        "level": finding.level,
        "message": {"text": finding.message},
        "locations": [location],
        "partialFingerprints": {"primaryLocationLineHash": _fingerprint(finding, where["uri"])},
    }


def _fingerprint(finding: Finding, uri: str) -> str:
    """By what a finding is known again in the next version of the file."""
    told = f"{finding.rule}\0{finding.layer}\0{uri}".encode(errors="surrogatepass")
    return f"{hashlib.sha256(told).hexdigest()[:16]}:1"


def _uri(path: Path) -> str:
    """A relative path stays one, as services know files by where they are in a repository."""
    shown = quote(os.fsencode(path.as_posix()))
    return f"file://{shown}" if path.is_absolute() else shown
