"""`goodnet inspect` for a security team: what is odd, as text, JSON and SARIF."""

from __future__ import annotations

import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import fails, said
from lab import Lab
from published import timm_vit
from tiny import deepid_spec
from weights_samples import state_dict

import goodnet
from goodnet.cli.main import run
from goodnet.formats.format import save_spec

LEVELS = {"none", "note", "warning", "error"}


def check_sarif(log: dict[str, Any]) -> list[dict[str, Any]]:
    """What the schema of SARIF 2.1.0 asks for, and services for code scanning; the results."""
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (one,) = log["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"] == "GoodNet"
    assert driver["version"] == goodnet.__version__
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        assert rule["defaultConfiguration"]["level"] in LEVELS
        for key in ("shortDescription", "fullDescription", "help"):
            assert rule[key]["text"].endswith(".")
    (invocation,) = one["invocations"]
    assert isinstance(invocation["executionSuccessful"], bool)
    for artifact in one["artifacts"]:
        assert " " not in artifact["location"]["uri"]
    for result in one["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in LEVELS
        assert result["message"]["text"]
        (location,) = result["locations"]
        place = location["physicalLocation"]
        assert place["artifactLocation"] == {**one["artifacts"][0]["location"], "index": 0}
        assert place["region"] == {"startLine": 1}
        assert result["partialFingerprints"]["primaryLocationLineHash"].endswith(":1")
    found: list[dict[str, Any]] = one["results"]
    return found


@pytest.fixture
def pruned(tmp_path: Path) -> Path:
    """A network with a channel that is all zero and a class that never wins."""
    spec, path = deepid_spec(), tmp_path / "a pruned net.h5"
    arrays = {key: array.copy() for key, array in spec.arrays.items()}
    arrays["conv_2/weight"][1] = arrays["conv_2/bias"][1] = 0
    arrays["output/weight"][3] = arrays["output/weight"][1] - 1
    arrays["output/bias"][3] = arrays["output/bias"][1]
    save_spec(spec.with_arrays(arrays), path)
    return path


def test_what_is_odd_is_told_as_text_json_and_sarif(
    pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.sarif"
    assert run(["inspect", str(pruned), "--json", "--sarif", str(out)]) == 0
    found = json.loads(said(capsys)[0])
    assert [each["rule"] for each in found["findings"]] == ["silent-channels", "class-never-wins"]
    assert found["red_flags"] == [each["message"] for each in found["findings"]]
    results = check_sarif(json.loads(out.read_text()))
    assert [each["message"]["text"] for each in results] == found["red_flags"]
    assert [each["level"] for each in results] == ["warning", "warning"]
    (named,) = results[0]["locations"][0]["logicalLocations"]
    assert named["fullyQualifiedName"] == "conv_2"
    artifact = json.loads(out.read_text())["runs"][0]["artifacts"][0]
    assert artifact["hashes"] == {"sha-256": found["sha256"]}
    assert artifact["location"]["uri"].endswith("/a%20pruned%20net.h5")
    assert run(["inspect", str(pruned)]) == 0
    red = said(capsys)[0].partition("red flags:\n")[2]
    assert [line.strip() for line in red.splitlines()] == found["red_flags"]


def test_a_clean_network_has_no_results(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["inspect", str(lab.model), "--sarif", "-"]) == 0
    assert check_sarif(json.loads(said(capsys)[0])) == []


def booby_trapped(path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return print, ("ran",)

    torch.save({"weight": Trap()}, path)


def not_finite(path: Path) -> None:
    spec = deepid_spec()
    bad = {key: array.copy() for key, array in spec.arrays.items()}
    bad["conv_2/weight"][0, 0, 0, 0] = np.inf
    save_spec(spec.with_arrays(bad), path)


def damaged(path: Path) -> None:
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(range(64)))


REFUSED = {
    "unsafe-file": (3, "net.pt", booby_trapped),
    "not-finite": (4, "net.h5", not_finite),
    "unreadable-file": (4, "net.h5", damaged),
}


@pytest.mark.parametrize("rule", REFUSED)
def test_a_refused_file_is_a_result_and_its_exit_code_stays(
    rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, name, make = REFUSED[rule]
    make(tmp_path / name)
    plain = fails(capsys, code, ["inspect", tmp_path / name])
    out = tmp_path / "found.sarif"
    assert fails(capsys, code, ["inspect", tmp_path / name, "--sarif", out]) == plain
    log = json.loads(out.read_text())
    (result,) = check_sarif(log)
    assert (result["ruleId"], result["level"]) == (rule, "error")
    assert plain == f"goodnet: {result['message']['text']}"
    assert log["runs"][0]["invocations"][0]["exitCode"] == code
    digest = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    assert log["runs"][0]["artifacts"][0]["hashes"] == {"sha-256": digest}
    assert run(["inspect", str(tmp_path / name), "--sarif", "-"]) == code
    assert check_sarif(json.loads(said(capsys)[0])) == [result]


def test_weights_of_an_unknown_architecture_are_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"some.weight": torch.ones(3, 4)}, tmp_path / "net.pt")
    assert run(["inspect", str(tmp_path / "net.pt"), "--sarif", "-"]) == 0
    (result,) = check_sarif(json.loads(said(capsys)[0]))
    assert (result["ruleId"], result["level"]) == ("unknown-architecture", "note")


def test_a_folder_is_a_result_without_a_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(tmp_path), "--sarif", "-"]) == 4
    log = json.loads(said(capsys)[0])
    (result,) = check_sarif(log)
    assert result["ruleId"] == "unreadable-file"
    assert "hashes" not in log["runs"][0]["artifacts"][0]


def test_a_file_that_is_not_there_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.sarif"
    fails(capsys, 6, ["inspect", tmp_path / "net.h5", "--sarif", out])
    assert list(tmp_path.iterdir()) == []


def test_findings_replace_no_file_without_being_told(
    pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.sarif"
    out.write_text("mine")
    command: list[object] = ["inspect", pruned, "--sarif"]
    assert "use --force" in fails(capsys, 2, [*command, out])
    assert out.read_text() == "mine"
    assert run([str(word) for word in [*command, out, "--force"]]) == 0
    check_sarif(json.loads(out.read_text()))
    said(capsys)
    assert "no such folder" in fails(capsys, 6, [*command, tmp_path / "no" / "found.sarif"])
    assert "both print" in fails(capsys, 2, [*command, "-", "--json"])


def test_a_relative_path_stays_one_and_names_may_hold_any_bytes(
    pruned: Path, tmp_path: Path
) -> None:
    odd = tmp_path / b"n\xff\xe9t #1.h5".decode(errors="surrogateescape")
    pruned.rename(odd)
    found = subprocess.run(
        [sys.executable, "-m", "goodnet", "inspect", odd.name, "--sarif", "-"],
        capture_output=True,
        cwd=tmp_path,
        check=True,
    )
    log = json.loads(found.stdout)
    check_sarif(log)
    assert log["runs"][0]["artifacts"][0]["location"]["uri"] == "n%FF%E9t%20%231.h5"


def test_a_transformer_is_inspected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(state_dict(timm_vit(192, 12, 16, 224)), tmp_path / "vit.pt")
    assert run(["inspect", str(tmp_path / "vit.pt")]) == 0
    assert "red flags:\n  none" in said(capsys)[0]


def test_a_pickled_object_is_told_to_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.pkl").write_bytes(pickle.dumps([1, 2, 3]))
    assert run(["inspect", str(tmp_path / "net.pkl"), "--sarif", "-"]) == 4
    (result,) = check_sarif(json.loads(said(capsys)[0]))
    assert result["level"] == "error"
