"""Blobs of programs that know no protocol."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exec_calls import Programs, with_dispatcher
from nodeling_runtime.blob_values import BlobValue, RunBlobs
from nodeling_runtime.dispatch.base import Outcome


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


def output(outcome: Outcome) -> Any:
    assert outcome.error is None, outcome.error
    assert outcome.output is not None
    return outcome.output.fresh()


def test_a_program_reads_bytes_by_reference_and_gives_some_back(programs: Programs) -> None:
    blobs = RunBlobs()
    blob = blobs.write([b"abc"], "text/plain")
    spec = programs.python(
        """
import json, os, sys
folder = os.environ["NODELING_BLOB_DIR"]
given = json.loads(sys.stdin.readline())["input"]["file"]
data = open(os.path.join(folder, given["$blob"]["path"]), "rb").read()
open(os.path.join(folder, "back.txt"), "wb").write(data[::-1])
new = {"$blob": {"path": "back.txt", "media_type": "text/plain"}}
print(json.dumps({"old": given, "new": new, "none": {"$blob": {"path": "no"}}}))
"""
    )
    call = programs.call(spec, None)
    call.blobs, call.inputs = blobs, blobs.value_of({"file": blob.reference()})
    outcome = with_dispatcher(lambda dispatcher: dispatcher.call(call))
    found = output(outcome)
    assert isinstance(outcome.output, BlobValue)
    assert found["old"] == blob.reference()
    assert found["none"] == {"$blob": {"path": "no"}}
    new = outcome.output.blob_of(found["new"])
    assert new is not None
    assert (new.media_type, new.encoding, new.size) == ("text/plain", "raw", 3)
    with new.open() as file:
        assert file.read() == b"cba"


def test_a_value_that_lies_in_a_file_reaches_a_program_as_it_is(programs: Programs) -> None:
    blobs = RunBlobs()
    spec = programs.bash("wc -c", stdin="json")
    call = programs.call(spec, None)
    call.blobs = blobs
    call.inputs = blobs.of_blob(blobs.write([json.dumps(["x" * 3_000_000]).encode()], "x/y", "json"))
    assert output(with_dispatcher(lambda dispatcher: dispatcher.call(call))) == 3_000_005


def test_a_reference_that_leads_out_of_the_folder_is_only_a_value(programs: Programs) -> None:
    odd = {"$blob": {"path": "../../etc/passwd"}}
    spec = programs.bash(f"echo '{json.dumps(odd)}'")
    outcome = programs.run(spec)
    assert output(outcome) == odd
    assert not isinstance(outcome.output, BlobValue)


def test_a_link_in_the_folder_is_refused(programs: Programs) -> None:
    spec = programs.bash(
        'ln -s /etc/hostname "$NODELING_BLOB_DIR/x"; echo \'{"$blob": {"path": "x", "size": 9}}\''
    )
    outcome = programs.run(spec)
    assert outcome.error is not None
    assert outcome.error.code == 4006
