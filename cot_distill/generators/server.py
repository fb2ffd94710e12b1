"""Asks an OpenAI-compatible server (vLLM, ``transformers serve``, llama.cpp, a hosted one), many requests at a time.

One request is one sample: every server can do that (many ignore ``n``), its token count is its own, and nothing that
was answered is asked again when the rest fails. The openai package tries again after no connection, time-outs, 408,
409, 429 (as ``Retry-After`` says) and 5xx; here replies are tried again that are none.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.errors import UserError, did_you_mean
from cot_distill.generators.base import Completion, Prompt, Sampling
from cot_distill.server_options import PromptedOptions, TeacherOptions

if TYPE_CHECKING:
    from openai import APIError, APIStatusError, AsyncOpenAI

logger = logging.getLogger(__name__)

HOPELESS = 5  # requests in a row that came to nothing: the server is no use
NO_KEY = "none"  # the openai package wants one; a server of one's own does not look
OnReply = Callable[[int, Completion, float], None]


class ServerError(UserError):
    """The server as a whole is of no use now; what it has answered is with the caller."""

    def with_saved(self, count: int, path: Path) -> ServerError:
        """The same error, which says what is not lost."""
        saved = f"{count} answers are saved in {path}; the same command goes on from there."
        return ServerError(self.what, where=self.where, cure=f"{self.cure or ''} {saved}".strip())


class Unusable(Exception):
    """The server's last word on one request is no completion."""


class Refused(Unusable):
    """The server does not want this request."""


class Unanswered(Exception):
    """One request got no reply, by no fault of its own."""


class ServerGenerator:
    """Implements :class:`cot_distill.generators.base.Generator` for chats.

    Args:
        base_url: up to ``/v1``.
        concurrency: requests at the same time.
        attempts: how often a request is made again.
        key_name: of the environment variable with the key, for messages.

    Attributes:
        failed: why requests of the last :meth:`ask` or :meth:`generate` were given up, by their number.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str | None = None,
        timeout: float = 600.0,
        concurrency: int = 8,
        attempts: int = 4,
        key_name: str = "OPENAI_API_KEY",
    ) -> None:
        self.base_url, self.model, self.api_key = base_url.rstrip("/"), model, api_key
        self.timeout, self.concurrency, self.attempts, self.key_name = timeout, concurrency, attempts, key_name
        self.limit_key = "max_tokens"  # until a server wants the newer name
        self.failed: dict[int, str] = {}

    def generate(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_result: Callable[[int, list[Completion]], None],
    ) -> None:
        """As the protocol says. Samples that were given up are missing in what ``on_result`` gets, and told as a
        warning and in :attr:`failed` (request ``i * samples + s`` is sample ``s`` of prompt ``i``)."""
        count = sampling.samples
        done: list[dict[int, Completion]] = [{} for _ in prompts]

        def keep(number: int, completion: Completion, _: float) -> None:
            index, sample = divmod(number, count)
            done[index][sample] = completion
            if len(done[index]) == count:
                on_result(index, [done[index][s] for s in range(count)])

        requests = []
        for prompt in prompts:
            requests += [(prompt, sample) for sample in range(count)]
        self.ask(requests, sampling, keep)
        for index in sorted({number // count for number in self.failed}):
            on_result(index, [done[index][s] for s in sorted(done[index])])
        if self.failed:
            logger.warning("%d of %d samples: no usable reply.", len(self.failed), len(prompts) * count)

    def ask(
        self, requests: Sequence[tuple[Prompt, int]], sampling: Sampling, on_reply: OnReply, works: bool = False
    ) -> dict[int, str]:
        """One completion for each prompt and number of its sample (with which the seed changes).

        Args:
            on_reply: gets the number of the request, its completion and the seconds it took, as soon as it is there.
            works: it has answered such requests before, so that refusals are the fault of single prompts.

        Returns:
            why requests were given up whose replies were no completions, by number.

        Raises:
            ServerError: if the server cannot be reached, refuses the key, does not have the model, gives nothing
                useful any more, or did not answer some requests after all others.
        """
        self.failed = {}
        try:
            asyncio.run(self._ask_all(requests, sampling, on_reply, works))
        except BaseExceptionGroup as group:  # of the workers' errors the first is the cause
            raise group.exceptions[0] from None
        return self.failed

    def check(self) -> None:
        """Make one short request.

        Raises:
            ServerError: if the server cannot be used.
        """
        chat: Prompt = [{"role": "user", "content": "Say yes."}]
        if failed := self.ask([(chat, 0)], Sampling(max_new_tokens=16), lambda *_: None):
            raise asyncio.run(self._hopeless(self._client(), failed[0]))

    async def _ask_all(
        self, requests: Sequence[tuple[Prompt, int]], sampling: Sampling, on_reply: OnReply, works: bool
    ) -> None:
        jobs = deque(enumerate(requests))
        unanswered: list[str] = []
        in_a_row, last = 0, ""

        async def work(client: AsyncOpenAI) -> None:
            nonlocal in_a_row, last, works
            while jobs and in_a_row < HOPELESS:
                number, (prompt, sample) = jobs.popleft()
                started = time.perf_counter()
                try:
                    completion = await self._complete(client, prompt, sample, sampling)
                except (Unusable, Unanswered) as error:
                    last = str(error)
                    if isinstance(error, Unanswered):
                        unanswered.append(last)
                    else:
                        self.failed[number] = last
                    in_a_row += not (works and isinstance(error, Refused))
                    continue
                in_a_row, works = 0, True
                on_reply(number, completion, time.perf_counter() - started)

        async with self._client() as client:
            while jobs:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self.concurrency, len(jobs))):
                        group.create_task(work(client))
                if in_a_row >= HOPELESS:  # also what was on its way has ended, and brought nothing
                    raise await self._hopeless(client, last)
        if unanswered:
            raise ServerError(
                f"{len(unanswered)} of {len(requests)} requests got no answer (the last: {unanswered[-1]}).",
                where=self.base_url,
                cure="Give it more time (timeout) or fewer requests at once (concurrency).",
            )

    def _client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        return AsyncOpenAI(
            base_url=self.base_url,
            api_key=self.api_key or NO_KEY,
            timeout=self.timeout,
            max_retries=self.attempts,
        )

    async def _complete(self, client: AsyncOpenAI, prompt: Prompt, sample: int, sampling: Sampling) -> Completion:
        """One completion; replies that are none are asked for again.

        Raises:
            Unusable, Unanswered: as their names say.
            ServerError: as :meth:`ask`.
        """
        import openai

        why = ""
        for attempt in range(self.attempts + 1):
            if attempt:
                await asyncio.sleep(min(0.5 * 2 ** (attempt - 1), 8.0))
            try:
                return read_reply(await self._post(client, prompt, sample, sampling))
            except ValueError as error:
                why = f"no completion in the reply: {error}"
            except openai.APITimeoutError:
                raise Unanswered(f"no reply within {self.timeout:g} s") from None
            except openai.APIConnectionError as error:
                raise self._unreachable(error) from None
            except openai.APIStatusError as error:
                raise await self._refused(client, error) from None
            except openai.APIError as error:  # raised by the package on a reply that it cannot read
                why = str(error)
        raise Unusable(why)

    async def _post(self, client: AsyncOpenAI, prompt: Prompt, sample: int, sampling: Sampling) -> str:
        """The body of a reply. Read by :func:`read_reply`: the package's own reading lets nearly everything pass."""
        import openai

        create: Any = client.chat.completions.with_raw_response.create  # its overloads know no mappings
        body: dict[str, Any] = {"model": self.model, "messages": prompt, "temperature": sampling.temperature}
        if sampling.top_p < 1:
            body["top_p"] = sampling.top_p
        if sampling.temperature > 0:
            body["seed"] = seed_of(sampling.seed, prompt, sample)
        while True:
            limit_key = self.limit_key
            limit = {} if sampling.max_new_tokens is None else {limit_key: sampling.max_new_tokens}
            try:
                return str((await create(**body, **limit)).text)
            except openai.BadRequestError as error:
                if limit_key == "max_completion_tokens" or "max_completion_tokens" not in str(error):
                    raise
                self.limit_key = "max_completion_tokens"

    async def _refused(self, client: AsyncOpenAI, error: APIStatusError) -> Exception:
        """What a reply with an error status means, after the package's attempts."""
        status, said = error.status_code, f"{error.status_code}: {_words(error)}"
        if status in (401, 403):
            return ServerError(
                f"the server does not accept the key ({said}).",
                where=self.base_url,
                cure=f"Put the right one into the environment variable {self.key_name}.",
            )
        if status in (408, 409, 429) or status > 500:
            return Unanswered(f"status {said}")
        if status == 500:
            return Unusable(f"status {said}")
        names = await self._models(client)
        if self.model not in names and (status == 404 or self.model in said):
            near = did_you_mean(self.model, names) if names else "Does base_url end with /v1?" if status == 404 else ""
            return ServerError(
                f"the server has no model '{self.model}' ({said}).",
                where=self.base_url,
                cure=f"{near if near.startswith('D') else ''} {_listed(names)}".strip(),
            )
        return Refused(f"refused with status {said}")

    async def _models(self, client: AsyncOpenAI) -> list[str]:
        """What the server says it has; nothing where it does not say."""
        import openai

        try:
            page = await client.with_options(max_retries=0).models.list()
            return [str(model.id) for model in page.data or []]
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            return []

    def _unreachable(self, error: APIError) -> ServerError:
        reason = str(error.__cause__ or error) or type(error.__cause__).__name__
        return ServerError(
            f"no connection ({reason}), tried {self.attempts + 1} times.",
            where=self.base_url,
            cure="Is the server running, and is this its address?",
        )

    async def _hopeless(self, client: AsyncOpenAI, why: str) -> ServerError:
        return ServerError(
            f"the server gives nothing that can be used ({why}).",
            where=self.base_url,
            cure=f"Look at its log, and whether base_url and model are right. {_listed(await self._models(client))}",
        )


def connect(options: PromptedOptions | TeacherOptions, where: str) -> ServerGenerator:
    """The server that options name, with the key from the environment.

    Args:
        where: the options' place in the configuration.

    Raises:
        UserError: if they name no model.
    """
    if not options.model or options.base_url is None:
        raise UserError("no model is named.", where=f"{where}.model", cure="Give its name at the server.")
    return ServerGenerator(
        options.base_url,
        options.model,
        os.environ.get(options.api_key_env),
        options.timeout,
        options.concurrency,
        options.attempts,
        options.api_key_env,
    )


def price(parameters: float | None, completions: Sequence[Completion]) -> float:
    """2 x active parameters x tokens read and written: the products with weights, without attention; NaN where it is
    not known."""
    counts: list[int | None] = []
    for completion in completions:
        counts += [completion.prompt_tokens, completion.tokens]
    known = [count for count in counts if count is not None]
    if parameters is None or len(known) < len(counts):
        return math.nan
    return 2.0 * parameters * sum(known)


def alike(texts: Iterable[Sequence[str]], temperature: float) -> str:
    """A warning if no two samples of any prompt differ, which they should; empty otherwise.

    ``transformers serve`` takes no notice of a temperature where the model's own generation settings do not sample.

    Args:
        texts: the samples of each prompt.
    """
    several = [set(samples) for samples in texts if len(samples) > 1]
    if temperature == 0 or len(several) < 3 or max(map(len, several)) > 1:
        return ""
    return (
        f"All samples of each problem are the same text, at temperature {temperature:g}: it seems to be "
        "ignored (transformers serve: set do_sample in the model's generation_config.json)."
    )


def seed_of(seed: int, prompt: Prompt, sample: int) -> int:
    """A seed for one sample that depends on nothing else, so that neither order nor interruptions change it."""
    text = json.dumps([seed, prompt, sample])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def read_reply(body: str) -> Completion:
    """The completion in a chat reply.

    A model that spent all its tokens on hidden reasoning has no content: that is an empty, unfinished text.

    Raises:
        ValueError: saying what is wrong with the reply.
    """
    reply = json.loads(body)
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not choices:
        raise ValueError(f"no choices: {body[:200]!r}")
    choice = choices[0]
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise ValueError(f"no message: {body[:200]!r}")
    thought = message.get("reasoning_content") or message.get("reasoning") or ""
    content, cut = message.get("content"), choice.get("finish_reason") == "length"
    if content is None and isinstance(message.get("refusal"), str):
        content = message["refusal"]
    if content is None and (thought or cut):
        content = ""
    if not isinstance(content, str) or not isinstance(thought, str):
        raise ValueError(f"no text: {body[:200]!r}")
    usage = reply.get("usage")
    tokens, prompt_tokens = (_count(usage, key) for key in ("completion_tokens", "prompt_tokens"))
    return Completion(content, tokens, prompt_tokens, finished=not cut, thought=thought)


def _count(usage: Any, key: str) -> int | None:
    value = usage.get(key) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _listed(names: Sequence[str]) -> str:
    return f"It has: {', '.join(names)}." if names else "It lists no models."


def _words(error: APIStatusError) -> str:
    """What the server says went wrong, as short as it can be told."""
    body: Any = error.body
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or body
    return " ".join(str(body or error.message).split())[:300]
