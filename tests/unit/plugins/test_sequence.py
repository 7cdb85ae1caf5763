"""`sequence`: a scope of steps as one step."""

from __future__ import annotations

from container_stage import Stage


def test_it_gives_the_last_steps_output(stage: Stage) -> None:
    result = stage.run(
        [
            {
                "name": "both",
                "node": "sequence",
                "steps": [
                    {"name": "one", "node": "echo", "inputs": {"value": 1}},
                    {"name": "two", "node": "echo", "inputs": {"value": "${steps.one.output + 1}"}},
                ],
            }
        ]
    )
    assert (result.status, result.output) == ("succeeded", 2)


def test_one_step_needs_no_list(stage: Stage) -> None:
    steps = {"name": "one", "node": "echo", "inputs": {"value": 1}}
    assert stage.run([{"name": "both", "node": "sequence", "steps": steps}]).output == 1


def test_a_graph_inside_gives_the_output_of_its_leaves(stage: Stage) -> None:
    result = stage.run(
        [
            {
                "name": "graph",
                "node": "sequence",
                "steps": [
                    {"name": "root", "node": "echo", "needs": [], "inputs": {"value": 1}},
                    {"name": "left", "node": "echo", "needs": ["root"], "inputs": {"value": 2}},
                    {
                        "name": "right",
                        "node": "echo",
                        "needs": ["root"],
                        "if": False,
                        "inputs": {"value": 3},
                    },
                ],
            }
        ]
    )
    assert result.output == {"left": 2, "right": None}


def test_writes_go_from_child_to_child_and_out(stage: Stage) -> None:
    result = stage.run(
        [
            {"name": "before", "node": "put", "inputs": {"a": 1, "b": 1, "gone": 1}},
            {
                "name": "both",
                "node": "sequence",
                "steps": [
                    {"name": "write", "node": "put", "inputs": {"a": 2}},
                    {"name": "forget", "node": "drop", "inputs": {"key": "gone"}},
                    {"name": "inside", "node": "vars", "inputs": {"keys": ["a", "b", "gone"]}},
                ],
            },
            {"name": "after", "node": "vars", "inputs": {"keys": ["a", "b", "gone"]}},
        ]
    )
    assert result.steps["both"].output == {"a": 2, "b": 1}
    assert result.output == {"a": 2, "b": 1}


def test_the_first_child_sees_the_response_of_the_container(stage: Stage) -> None:
    result = stage.run(
        [
            {"name": "before", "node": "echo", "inputs": {"value": 7}},
            {
                "name": "both",
                "node": "sequence",
                "steps": [{"name": "one", "node": "echo", "inputs": {"value": "${ctx.response.data}"}}],
            },
        ]
    )
    assert result.output == 7


def test_a_failure_inside_fails_the_step_with_its_code_and_place(stage: Stage) -> None:
    result = stage.run(
        [
            {"name": "before", "node": "put", "inputs": {"a": 1}},
            {
                "name": "both",
                "node": "sequence",
                "steps": [
                    {"name": "write", "node": "put", "inputs": {"a": 2}},
                    {"name": "broken", "node": "fail", "inputs": {"code": 4321, "message": "no luck"}},
                    {"name": "unreached", "node": "log"},
                ],
            },
            {"name": "tell", "node": "vars", "trigger": "always", "inputs": {"keys": ["a"]}},
        ]
    )
    error = result.steps["both"].error
    assert result.status == "failed"
    assert error is not None and error["code"] == 4321 and "no luck" in error["message"]
    assert error["details"]["step"] == "broken"
    assert stage.told == ["fail broken"]
    assert result.steps["tell"].output == {"a": 1}


def test_a_handler_inside_can_recover(stage: Stage) -> None:
    result = stage.run(
        [
            {
                "name": "both",
                "node": "sequence",
                "steps": [
                    {"name": "broken", "node": "fail", "inputs": {"code": 4321}},
                    {
                        "name": "mend",
                        "node": "echo",
                        "trigger": "on_error",
                        "recover": True,
                        "inputs": {"value": "${ctx.error.code}"},
                    },
                    {"name": "tidy", "node": "log", "trigger": "always"},
                ],
            },
            {"name": "after", "node": "log"},
        ]
    )
    assert result.status == "succeeded"
    assert result.steps["both"].status == "succeeded"
    assert stage.told == ["fail broken", "tidy", "after"]


def test_on_failure_stop_holds_for_the_scope_inside(stage: Stage) -> None:
    result = stage.run(
        [
            {
                "name": "graph",
                "node": "sequence",
                "on_failure": "stop",
                "steps": [
                    {"name": "hangs", "node": "hang", "needs": []},
                    {"name": "wait", "node": "late", "needs": []},
                    {"name": "broken", "node": "fail", "needs": ["wait"]},
                ],
            }
        ]
    )
    assert result.status == "failed"
    assert stage.cancelled == ["hangs"]


def test_an_empty_list_is_refused(stage: Stage) -> None:
    assert stage.refusals([{"name": "none", "node": "sequence", "steps": []}]) == ["`steps` holds no steps"]


def test_outside_sees_only_the_containers_output(stage: Stage) -> None:
    inner = {"name": "one", "node": "echo"}
    said = stage.refusals(
        [
            {"name": "both", "node": "sequence", "steps": [inner]},
            {"name": "after", "node": "echo", "inputs": {"value": "${steps.one.output}"}},
        ]
    )
    assert said == ["'one' is a step inside 'both', which cannot be seen from here"]
