"""Values by reference between the host and its workers: given, taken, refused, removed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from exec_calls import until
from nodeling_runtime import shelf
from nodeling_runtime.blob_values import BlobValue, RunBlobs
from nodeling_runtime.blobs import Blob
from nodeling_runtime.dispatch.base import Outcome
from nodeling_runtime.dispatch.worker.dispatcher import WorkerDispatcher
from nodeling_runtime.dispatch.worker.hub import close_all
from worker_calls import Nodes, code, given, with_workers

MIB = 2**20

# A node that says `blob` and speaks the protocol itself; {body} answers a call.
RAW = """
folder = None
def leave(name, data, **more):
    with open(os.path.join(folder, name), "wb") as file: file.write(data)
    about = {{"path": name, "size": len(data), "media_type": "text/plain", "encoding": "raw"}}
    return {{"$blob": {{**about, **more}}}}
for f in frames():
    if f["method"] == "node/hello":
        folder = f["params"]["blob_dir"]
        greet(f["id"], ["blob", "stream"])
    elif f["method"] == "node/invoke":
        value = f["params"]["input"]
{body}
"""
FILES = "import os\n" + "def run(ctx, inputs):\n    return sorted(os.listdir(inputs))\n"


@pytest.fixture
def nodes(tmp_path: Path) -> Nodes:
    return Nodes(tmp_path)


@pytest.fixture(autouse=True)
def leave_nothing() -> object:
    yield
    close_all()


def raw(body: str) -> str:
    return RAW.format(body="\n".join(f"        {line}" for line in body.splitlines()))


def blob_of(outcome: Outcome) -> Blob:
    assert outcome.error is None, outcome.error
    assert isinstance(outcome.output, BlobValue)
    (blob,) = outcome.output.blobs.values()
    return blob


def test_a_large_input_reaches_a_node_as_a_file_and_the_file_is_gone_after_the_call(nodes: Nodes) -> None:
    spec = nodes.raw(
        raw(
            'about = value["$blob"] if isinstance(value, dict) else None\n'
            "found = os.listdir(folder)\n"
            'answer(f["id"], {"output": [about and about["size"], len(found)]})'
        )
    )
    text = "x" * MIB
    assert [given(one) for one in nodes.run(spec, text, "small", text)] == [
        [MIB + 2, 1],
        [None, 0],
        [MIB + 2, 1],
    ]


def test_a_large_output_is_a_file_that_the_host_owns_until_nobody_refers_to_it(nodes: Nodes) -> None:
    spec = nodes.python("def run(ctx, inputs):\n    return {'text': 'y' * inputs}\n")

    async def work(dispatcher: WorkerDispatcher) -> str:
        outcome = await dispatcher.call(nodes.call(spec, 3 * MIB))
        blob = blob_of(outcome)
        assert blob.encoding == "json"
        assert os.path.getsize(blob.path) == blob.size == 3 * MIB + len('{"text":""}')
        assert given(outcome) == {"text": "y" * 3 * MIB}
        return blob.path

    assert not os.path.exists(with_workers(work))


def test_twenty_mebibytes_pass_from_worker_to_worker_and_nobody_between_decodes_them(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = nodes.python("def run(ctx, inputs):\n    return list(range(inputs))\n", "maker")
    taker = nodes.python(
        "import os\n"
        "def run(ctx, inputs):\n    return [len(inputs['rows']), inputs['rows'][-1], inputs['k']]\n",
        "taker",
    )
    reads: list[Blob] = []
    monkeypatch.setattr(Blob, "decoded", lambda self: reads.append(self))
    monkeypatch.setattr(Blob, "open", lambda self: reads.append(self))
    count = 2_800_000

    async def work(dispatcher: WorkerDispatcher) -> Any:
        made = await dispatcher.call(nodes.call(maker, count))
        blob, blobs = blob_of(made), RunBlobs()
        assert blob.size > 20 * MIB
        value = made.output
        assert value is not None
        inputs = blobs.value_of({"rows": value.readable(), "k": 1})
        call = nodes.call(taker)
        call.inputs = inputs
        return given(await dispatcher.call(call))

    assert with_workers(work) == [count, count - 1, 1]
    assert reads == []


def test_bytes_that_one_node_wrote_are_the_bytes_that_another_opens(nodes: Nodes) -> None:
    writer = nodes.python(
        "def run(ctx, inputs):\n"
        "    data = bytes(range(256)) * inputs\n"
        "    return {'table': ctx.write_blob(data, 'application/vnd.apache.arrow.file'), 'rows': 7}\n",
        "writer",
    )
    reader = nodes.python(
        "def run(ctx, inputs):\n"
        "    with ctx.open_blob(inputs['table']) as file:\n"
        "        data = file.read()\n"
        "    assert data == bytes(range(256)) * 8192\n"
        "    return inputs\n",
        "reader",
    )

    async def work(dispatcher: WorkerDispatcher) -> None:
        made = await dispatcher.call(nodes.call(writer, 8192))
        blob = blob_of(made)
        assert (blob.media_type, blob.encoding, blob.size) == (
            "application/vnd.apache.arrow.file",
            "raw",
            2 * MIB,
        )
        assert made.output is not None
        call = nodes.call(reader)
        call.inputs = made.output
        passed = await dispatcher.call(call)
        assert blob_of(passed) is blob  # it came back by name: the same file, not a copy
        assert given(passed) == {"table": blob.reference(), "rows": 7}

    with_workers(work)


def test_a_copy_of_a_handle_is_a_handle(nodes: Nodes) -> None:
    spec = nodes.python(
        "import json\n"
        "def run(ctx, inputs):\n"
        "    return json.loads(json.dumps({'a': [ctx.write_blob(b'abc')]}))\n"
    )

    async def work(dispatcher: WorkerDispatcher) -> None:
        blob = blob_of(await dispatcher.call(nodes.call(spec)))
        with blob.open() as file:
            assert file.read() == b"abc"

    with_workers(work)


def test_a_large_value_around_a_handle_is_put_aside_part_by_part(nodes: Nodes) -> None:
    spec = nodes.python(
        "def run(ctx, inputs):\n"
        "    return {'raw': ctx.write_blob(b'abc'), 'rows': ['z' * 2000000], '$blob': {'path': 'mine'}}\n"
    )

    async def work(dispatcher: WorkerDispatcher) -> None:
        outcome = await dispatcher.call(nodes.call(spec))
        assert isinstance(outcome.output, BlobValue)
        assert sorted(blob.encoding for blob in outcome.output.blobs.values()) == ["json", "raw"]
        found = given(outcome)
        assert found["rows"] == ["z" * 2_000_000]
        assert found["$blob"] == {"path": "mine"}

    with_workers(work)


@pytest.mark.parametrize(
    "value",
    [
        {"$blob": 1},
        {"$blob": {"path": "mine", "size": 3}},
        {"$$blob": [{"$blob": {}}]},
        {"$$$blob": {"$blob": "x"}, "$blob": 2},
        {"$blob": {"path": "y" * 2 * MIB}},
    ],
    ids=["number", "like-a-reference", "escaped", "deeper", "large"],
)
def test_a_users_own_key_comes_and_goes_unchanged(nodes: Nodes, value: Any) -> None:
    spec = nodes.python("def run(ctx, inputs):\n    assert '$$$$blob' not in inputs\n    return inputs\n")
    outcome = nodes.run(spec, value)[0]
    assert given(outcome) == value


REFUSED = {
    "absent": '{"$blob": {"path": "absent", "size": 1, "encoding": "raw"}}',
    "parent": '{"$blob": {"path": "../x", "size": 1, "encoding": "raw"}}',
    "absolute": '{"$blob": {"path": "/etc/passwd", "size": 1, "encoding": "raw"}}',
    "dot": '{"$blob": {"path": ".", "size": 1, "encoding": "raw"}}',
    "nested": '(os.mkdir(folder + "/d"), leave("d/x", b"abc"))[1]',
    "wrong-size": 'leave("x", b"abc", size=2)',
    "no-size": 'leave("x", b"abc", size=None)',
    "no-text": 'leave("x", b"abc", path=7)',
    "encoding": 'leave("x", b"abc", encoding="zip")',
    "type": 'leave("x", b"abc", media_type="a\\nb")',
    "symlink": '(os.symlink("/etc/hostname", folder + "/x"), leave("y", b""), '
    '{"$blob": {"path": "x", "size": os.stat("/etc/hostname").st_size, "encoding": "raw"}})[2]',
    "fifo": '(os.mkfifo(folder + "/x"), {"$blob": {"path": "x", "size": 0, "encoding": "raw"}})[1]',
    "folder": '(os.mkdir(folder + "/x"), '
    '{"$blob": {"path": "x", "size": os.stat(folder + "/x").st_size, "encoding": "raw"}})[1]',
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_reference_to_anything_but_a_file_of_that_size_is_refused(nodes: Nodes, name: str) -> None:
    spec = nodes.raw(
        raw(
            'if value == "list": answer(f["id"], {"output": os.listdir(folder)})\n'
            f'else: answer(f["id"], {{"output": {{"deep": [{REFUSED[name]}]}}}})'
        )
    )
    bad, left = nodes.run(spec, "go", "list")
    assert code(bad) == 4006
    assert bad.error is not None and "blob" in bad.error.message
    assert given(left) == []  # the host has tidied up behind it


def test_a_blob_that_holds_no_value_fails_whoever_reads_it(nodes: Nodes) -> None:
    spec = nodes.raw(raw('answer(f["id"], {"output": leave("x", b"[1,", encoding="json")})'))
    taker = nodes.python("def run(ctx, inputs):\n    return 1\n", "taker")

    async def work(dispatcher: WorkerDispatcher) -> None:
        made = await dispatcher.call(nodes.call(spec))
        assert made.error is None
        assert made.output is not None
        call = nodes.call(taker)
        call.inputs = made.output
        read = await dispatcher.call(call)
        assert code(read) == 4001
        assert read.error is not None and "holds no value" in read.error.message

    with_workers(work)


def test_a_node_that_takes_no_blobs_gets_the_value_itself_and_no_bytes(nodes: Nodes) -> None:
    maker = nodes.python(
        "def run(ctx, inputs):\n    return ctx.write_blob(b'abc') if inputs else ['y' * 2000000]\n", "maker"
    )
    plain = nodes.raw(
        """
for f in frames():
    if f["method"] == "node/hello": greet(f["id"])
    else: answer(f["id"], {"output": len(f["params"]["input"][0])})
"""
    )

    async def work(dispatcher: WorkerDispatcher) -> None:
        found = []
        for wanted in (False, True):
            made = await dispatcher.call(nodes.call(maker, wanted))
            assert made.output is not None
            call = nodes.call(plain)
            call.inputs = made.output
            found.append(await dispatcher.call(call))
        assert given(found[0]) == 2_000_000
        assert code(found[1]) == 4010

    with_workers(work)


def test_calls_that_share_a_file_keep_it_until_the_last_of_them_is_over(nodes: Nodes) -> None:
    spec = nodes.python(
        "import os\n"
        "def run(ctx, inputs):\n"
        "    while inputs['wait'] and not os.path.exists(inputs['wait']): pass\n"
        "    return len(ctx.open_blob(inputs['b']).read())\n",
        runtime={"concurrency": 2},
    )
    gate = nodes.root / "gate"
    blobs = RunBlobs()
    handle = blobs.write([b"abc"], "text/plain")

    async def work(dispatcher: WorkerDispatcher) -> None:
        calls = []
        for wait in (str(gate), ""):
            call = nodes.call(spec)
            call.blobs, call.inputs = blobs, blobs.value_of({"b": handle.reference(), "wait": wait})
            calls.append(asyncio.ensure_future(dispatcher.call(call)))
        assert given(await calls[1]) == 3
        gate.touch()
        assert given(await calls[0]) == 3

    with_workers(work)


def test_nothing_of_a_worker_that_crashed_is_left_on_the_shelf(nodes: Nodes) -> None:
    spec = nodes.raw(raw('leave("x", b"abc"); os._exit(1)'))

    async def work(dispatcher: WorkerDispatcher) -> None:
        assert code(await dispatcher.call(nodes.call(spec, "y" * MIB))) == 9003
        root = shelf.shelf().root
        await until(lambda: os.listdir(root) == [shelf.LOCK])

    with_workers(work)


def test_a_cancelled_call_leaves_no_file(nodes: Nodes) -> None:
    spec = nodes.python(
        "import os, time\n"
        "def run(ctx, inputs):\n"
        "    if inputs == 'list': return os.listdir(os.environ['B'])\n"
        "    ctx.write_blob(b'abc')\n"
        "    open(inputs['mark'], 'w').close()\n"
        "    while not ctx.cancelled: time.sleep(0.001)\n",
        runtime={"concurrency": 2},
    )
    mark = nodes.root / "mark"

    async def work(dispatcher: WorkerDispatcher) -> None:
        task = asyncio.ensure_future(dispatcher.call(nodes.call(spec, {"mark": str(mark), "pad": "y" * MIB})))
        await until(mark.exists)
        root = Path(shelf.shelf().root)
        assert len(list(root.glob("node-*/*"))) == 2
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert list(root.glob("node-*/*")) == []

    with_workers(work)
