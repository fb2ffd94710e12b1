"""The client against a real server, and against one that fails in every way that servers fail."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time

import pytest
from serving import MODEL, TASK, Server

from benchmarks.errors import UserError
from cot_distill.generators.base import Completion, Sampling
from cot_distill.generators.server import ServerError, ServerGenerator, alike, read_reply, seed_of
from cot_distill.prompting import messages, read_thought
from cot_distill.server_options import PromptedOptions, TeacherOptions

PROMPTS = [messages(TASK, problem) for problem in TASK.generate("train", 6, 0)]
GREEDY = Sampling(max_new_tokens=40)
DRAWN = Sampling(samples=3, temperature=1.0, max_new_tokens=40, seed=1)


def client(proxy, **changes) -> ServerGenerator:
    settings = {"timeout": 30.0, "concurrency": 3, "attempts": 2, **changes}
    return ServerGenerator(proxy.url, settings.pop("model", MODEL), **settings)


def collect(generator, prompts=PROMPTS, sampling=GREEDY) -> dict[int, list[Completion]]:
    found: dict[int, list[Completion]] = {}

    def keep(index: int, completions: list[Completion]) -> None:
        assert index not in found, "each prompt is told once"
        found[index] = completions

    generator.generate(prompts, sampling, keep)
    return found


def test_greedy_completions_are_those_of_the_model_itself(proxy, adder):
    from cot_distill.generators.transformers import TransformersGenerator
    from cot_distill.language_model import load_pretrained

    served = collect(client(proxy))
    local = collect(TransformersGenerator(*load_pretrained(str(adder))))
    assert {i: c.text for i, [c] in served.items()} == {i: c.text for i, [c] in local.items()}
    assert [(c.tokens, c.prompt_tokens, c.finished) for [c] in served.values()] == [
        (c.tokens, c.prompt_tokens, c.finished) for [c] in (local[i] for i in served)
    ]


def test_every_sample_is_a_request_of_its_own_with_a_seed_of_its_own(proxy):
    found = collect(client(proxy), sampling=DRAWN)
    assert {i: len(completions) for i, completions in found.items()} == dict.fromkeys(range(6), 3)
    assert len(set(proxy.answered())) == len(proxy.asked) == 18
    assert all("n" not in asked.body and asked.body["temperature"] == 1.0 for asked in proxy.asked)
    assert len({asked.body["seed"] for asked in proxy.asked}) == 18
    assert len({c.text for completions in found.values() for c in completions}) > 6, "samples differ"


def test_seeds_depend_on_seed_prompt_and_sample_alone():
    seeds = {seed_of(s, p, k) for s in range(3) for p in PROMPTS for k in range(4)}
    assert len(seeds) == 3 * 6 * 4
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seed_of(1, PROMPTS[0], 2) == seed_of(1, json.loads(json.dumps(PROMPTS[0])), 2)


def test_a_cut_completion_is_not_finished(proxy):
    [completion] = collect(client(proxy), PROMPTS[:1], Sampling(max_new_tokens=3))[0]
    assert (completion.finished, completion.tokens) == (False, 3)


@pytest.mark.parametrize("fault", [429, 500, 503, "cut", "half", {"choices": []}, "<html>",
                                   {"choices": [{"message": {"content": None}}]}, ""])  # fmt: skip
def test_a_passing_fault_costs_nothing(proxy, fault):
    """Every second request of the first four fails once in this way."""
    proxy.fault = lambda number, _: fault if number in (1, 3) else ""
    proxy.extra = {"retry-after": "0.1"}
    found = collect(client(proxy))
    assert sorted(found) == list(range(6))
    assert len(proxy.answered()) == len(set(proxy.answered())) == 6, "nothing that was answered is asked again"
    assert len(proxy.asked) == 6 + (2 if fault != "" else 0)


def test_retry_after_is_obeyed(proxy):
    proxy.fault = lambda number, _: 429 if number == 0 else ""
    proxy.extra = {"retry-after": "2"}
    started = time.monotonic()
    collect(client(proxy), PROMPTS[:1])
    assert 2 <= time.monotonic() - started < 5


def test_a_hanging_request_is_made_again_after_the_time_out(proxy):
    proxy.fault = lambda number, _: "hang" if number == 0 else ""
    assert sorted(collect(client(proxy, timeout=0.8))) == list(range(6))


def test_requests_at_the_same_time_are_bounded(proxy):
    running, most = set(), []

    def watch(number, _):
        running.add(number)
        most.append(len(running))
        time.sleep(0.05)
        running.discard(number)
        return ""

    proxy.fault = watch
    collect(client(proxy, concurrency=2), sampling=DRAWN)
    assert max(most) == 2


def test_a_prompt_without_a_usable_reply_is_told_and_the_others_are_there(proxy, caplog):
    bad = json.dumps(PROMPTS[2])
    proxy.fault = lambda _, asked: {"choices": []} if asked.sample[0] == bad else ""
    generator = client(proxy, attempts=1)
    found = collect(generator, sampling=DRAWN)
    assert {i: len(completions) for i, completions in found.items()} == {**dict.fromkeys(range(6), 3), 2: 0}
    assert sorted(generator.failed) == [6, 7, 8]
    assert all("no choices" in why for why in generator.failed.values())
    assert "3 of 18 samples" in caplog.text
    assert sum(asked.sample[0] == bad for asked in proxy.asked) == 3 * 2, "each was tried again once"


def test_a_prompt_that_the_server_refuses_fails_alone(proxy):
    bad = json.dumps(PROMPTS[4])
    proxy.fault = lambda _, asked: 400 if asked.sample[0] == bad else ""
    generator = client(proxy)
    assert sorted(i for i, completions in collect(generator).items() if completions) == [0, 1, 2, 3, 5]
    assert generator.failed == {4: "refused with status 400: fault 400"}
    assert sum(asked.sample[0] == bad for asked in proxy.asked) == 1, "a refusal is no accident"


def test_requests_that_time_out_are_asked_for_after_all_others_are_done(proxy):
    """An answer that the server had no time for is not a wrong one."""
    bad = json.dumps(PROMPTS[1])
    proxy.fault = lambda _, asked: "hang" if asked.sample[0] == bad else ""
    found = {}
    with pytest.raises(ServerError, match=r"1 of 6 requests got no answer .*no reply within 0.8 s.*timeout"):
        client(proxy, timeout=0.8, attempts=0).generate(PROMPTS, GREEDY, found.__setitem__)
    assert sorted(found) == [0, 2, 3, 4, 5]


def test_a_server_that_only_fails_is_given_up_early(proxy):
    proxy.fault = lambda *_: "<html>Welcome</html>"
    with pytest.raises(ServerError, match=rf"nothing that can be used.*Expecting value.*It has: {MODEL}"):
        collect(client(proxy, attempts=0), PROMPTS * 4)
    assert len(proxy.asked) < 12


def test_what_is_on_its_way_is_waited_for_before_giving_up(proxy):
    """An overloaded server refuses at once what it cannot take, and is at work on the rest."""

    def overloaded(number, _):
        if number in range(1, 9):
            return 503
        time.sleep(0.4 if number == 0 else 0)
        return ""

    proxy.fault = overloaded
    found = {}
    with pytest.raises(ServerError, match="8 of 24 requests got no answer"):
        client(proxy, attempts=0, concurrency=2).generate(PROMPTS * 4, GREEDY, found.__setitem__)
    assert len(found) == 16


@pytest.mark.parametrize("works", [False, True])
def test_refusals_alone_are_no_broken_server_where_it_has_answered(proxy, works):
    proxy.fault = lambda *_: 400
    generator, requests = client(proxy), [(prompt, 0) for prompt in PROMPTS]
    if works:
        assert sorted(generator.ask(requests, GREEDY, lambda *_: None, works=True)) == list(range(6))
    else:
        with pytest.raises(ServerError, match="refused with status 400"):
            generator.ask(requests, GREEDY, lambda *_: None)


def test_nobody_at_the_address(proxy):
    proxy.close()
    with pytest.raises(ServerError) as error:
        collect(client(proxy, attempts=1))
    assert error.value.where == proxy.url
    assert "no connection" in error.value.what
    assert "tried 2 times" in error.value.what
    assert "running" in error.value.cure


def test_a_wrong_key_names_the_variable(proxy):
    proxy.key = "secret"
    with pytest.raises(ServerError, match=r"does not accept the key \(401: no such key\).*MY_KEY"):
        collect(client(proxy, api_key="wrong", key_name="MY_KEY"))
    assert all("wrong" in asked.key for asked in proxy.asked)
    proxy.asked.clear()
    assert len(collect(client(proxy, api_key="secret"))) == 6


@pytest.mark.parametrize("status", [None, 404])
def test_a_wrong_model_name_lists_what_the_server_has(proxy, status):
    """Its own refusal (400 where a server is pinned to one model), and that of other servers (404)."""
    if status is not None:
        proxy.fault = lambda *_: status
    with pytest.raises(ServerError, match=rf"no model 'tests/sum'.*Did you mean '{MODEL}'\? It has: {MODEL}\."):
        collect(client(proxy, model="tests/sum"))


def test_an_address_without_v1(proxy):
    generator = ServerGenerator(proxy.url.removesuffix("/v1"), MODEL, attempts=0)
    with pytest.raises(ServerError, match=r"404.*Does base_url end with /v1"):
        collect(generator)


def test_check_asks_one_short_question(proxy):
    client(proxy).check()
    assert len(proxy.asked) == 1
    proxy.fault = lambda *_: 500
    with pytest.raises(ServerError, match=r"status 500: fault 500.*It has"):
        client(proxy, attempts=0).check()


def test_a_server_that_wants_the_newer_name_of_the_limit(proxy):
    words = "Unsupported parameter: use 'max_completion_tokens' instead of 'max_tokens'."
    proxy.fault = lambda _, asked: "" if "max_completion_tokens" in asked.body else (400, words)
    found = collect(client(proxy))
    assert all(len(completions) == 1 for completions in found.values())
    assert len(proxy.asked) <= 6 + 3, "after the first refusals it is known"


def test_a_server_that_takes_no_notice_of_the_temperature():
    assert alike([["a", "a"], ["b", "b"], ["c", "c", "c"]], 1.0).startswith("All samples of each problem are the same")
    assert not alike([["a", "a"], ["b", "b"], ["c", "c", "d"]], 1.0)
    assert not alike([["a", "a"], ["b"], ["c"]], 1.0), "too few to tell"
    assert not alike([["a"], ["b"], ["c"]], 1.0)


# --- reading a reply ----------------------------------------------------------------------------------


def reply(message, finish="stop", usage=None) -> str:
    return json.dumps({"choices": [{"message": message, "finish_reason": finish}], "usage": usage})


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_beside_the_content_is_the_thought(name):
    assert read_reply(reply({"content": "18", name: "9+9=18"})) == Completion("18", None, None, True, (), "9+9=18")


def test_all_tokens_spent_on_reasoning_is_an_unfinished_empty_text():
    usage = {"completion_tokens": 7, "prompt_tokens": 3}
    found = read_reply(reply({"content": None, "reasoning": "hm"}, "length", usage))
    assert found == Completion("", 7, 3, False, (), "hm")
    assert read_reply(reply({"content": None}, "length")).text == ""


def test_a_refusal_is_what_the_model_said():
    assert read_reply(reply({"content": None, "refusal": "I cannot."})).text == "I cannot."


@pytest.mark.parametrize(
    "usage", [None, [], {}, {"completion_tokens": "7", "prompt_tokens": True}, {"completion_tokens": -1}]
)
def test_counts_that_are_none_are_unknown(usage):
    found = read_reply(reply({"content": "x"}, usage=usage))
    assert (found.tokens, found.prompt_tokens) == (None, None)


@pytest.mark.parametrize("body", ["", "{", "null", "[]", "5", '{"choices": {}}', '{"choices": [5]}', '{"error": "x"}',
                                  reply(None), reply({}), reply({"content": ["x"]}),
                                  reply({"content": "x", "reasoning": 5})])  # fmt: skip
def test_what_is_no_completion_is_refused(body):
    with pytest.raises(ValueError, match=r"."):
        read_reply(body)


@pytest.mark.slow
def test_a_server_that_gives_the_thought_apart(adder, tmp_path):
    """The same model behind a second server whose tokenizer knows where a thought begins and ends."""
    folder = tmp_path / adder.relative_to(adder.parents[2])
    shutil.copytree(adder.parents[1], folder.parents[1])
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["response_template"] = {
        "start_anchor": "=\n",
        "fields": {
            "reasoning_content": {"open_pattern": r"(?=\d\+\d\+\d=)", "close": "\n", "content": "text"},
            "content": {"close_pattern": r"\s*<eos>", "content": "text"},
        },
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    server = Server(tmp_path)
    server.start()
    try:
        found = collect(ServerGenerator(server.url, MODEL))
    finally:
        server.kill()
    for [completion] in found.values():
        assert completion.text.startswith("<answer>")
        assert read_thought(completion) == completion.thought != ""
        assert "answer" not in completion.thought


# --- options -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changes", "key"), [
    ({"base_url": "localhost:8000"}, "base_url"), ({"base_url": "http://"}, "base_url"), ({"samples": 0}, "samples"),
    ({"samples": 2}, "temperature"), ({"temperature": -1.0}, "temperature"), ({"top_p": 0.0}, "top_p"),
    ({"timeout": 0.0}, "timeout"), ({"attempts": -1}, "attempts"), ({"concurrency": 0}, "concurrency"),
    ({"shots": -1}, "shots"), ({"max_new_tokens": 0}, "max_new_tokens"), ({"parameters": 0.0}, "parameters"),
])  # fmt: skip
def test_impossible_options_say_which(changes, key):
    for make in (PromptedOptions, lambda **c: TeacherOptions(**({"model": "m", "temperature": 0.0, "samples": 1} | c))):
        with pytest.raises(UserError) as error:
            make(**changes)
        assert error.value.where == key
        assert error.value.cure


def test_a_teacher_needs_a_model():
    with pytest.raises(UserError, match="which model"):
        TeacherOptions()


@pytest.mark.slow
def test_other_commands_do_not_load_the_client():
    """Only a request needs the openai package, which takes a second to load."""
    words = "import sys, reasoning_kit.cli, reasoning_kit.config.spec, cot_distill.prompted, cot_distill.teacher"
    subprocess.run([sys.executable, "-c", f"{words}; assert 'openai' not in sys.modules"], check=True)
