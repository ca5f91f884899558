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
from goodnet.files import sha256
from goodnet.formats import budgets
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
        told = sarif(path, [refusal(error)], digest=_hash(path), code=error.exit_code)
        return told, error
    return sarif(path, found.findings, digest=found.sha256), found


def sarif(
    path: Path, findings: Sequence[Finding], *, digest: str = "", code: int = 0
) -> dict[str, Any]:
    """Findings of one file as SARIF.

    Args:
        path: The file, as it was given.
        findings: What was found.
        digest: The sha256 of the file, where it is known.
        code: The exit code of the command.
    """
    rules = (*(rule for each in ODDITIES for rule in each.rules), *RULES)
    places = {rule.id: place for place, rule in enumerate(rules)}
    where = {"uri": _uri(path)}
    hashes = {"hashes": {"sha-256": digest}} if digest else {}
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


def _hash(path: Path) -> str:
    """By which a file that is refused is known elsewhere; "" for what is no file or too large."""
    small = path.is_file() and path.stat().st_size <= budgets.MODEL_BYTES
    return sha256(path) if small else ""


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
