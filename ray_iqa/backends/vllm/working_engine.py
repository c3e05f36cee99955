"""A vLLM engine at work: requests that may outlast the call that brought them, and sleep when there are none."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class WorkingEngine:
    """Drives one engine; what is unfinished when `run` returns goes on in the next one."""

    def __init__(self, llm: Any) -> None:  # noqa: ANN401 - vllm is untyped
        self.llm, self._engine = llm, llm.llm_engine
        self.adapters: Any = None  # vLLM's request for those that the next requests are answered with
        self.adapters_folder: Any = None  # which lasts as long as they do
        self._subjects: dict[str, Any] = {}  # by number of the request, oldest first
        self._engine_ids: dict[str, str] = {}  # vLLM's own names of the same
        self._may_sleep = self._engine.vllm_config.model_config.enable_sleep_mode
        self._asleep = False
        self._sleep()

    @property
    def num_unfinished(self) -> int:
        """Requests that `run` has not returned."""
        return len(self._subjects)

    def add(self, prompts: Sequence[Any], params: Sequence[Any], subjects: Sequence[Any]) -> None:
        """Submit rendered prompts, all or none; `run` returns each one's subject beside its answer."""
        from vllm.sampling_params import RequestOutputKind

        added: dict[str, str] = {}
        try:
            for prompt, each in zip(prompts, params, strict=True):
                each.output_kind = RequestOutputKind.FINAL_ONLY
                number = str(next(self.llm.request_counter))
                added[number] = self._engine.add_request(  # `generate` would render first
                    number, dict(prompt), each, lora_request=self.adapters
                )
        except Exception:
            self._engine.abort_request(list(added.values()), internal=True)
            raise
        self._engine_ids |= added
        self._subjects |= dict(zip(added, subjects, strict=True))

    def run(self, max_unfinished: int = 0) -> list[tuple[Any, Any]]:
        """Decode until at most ``max_unfinished`` completions are unfinished.

        Returns:
            subject and vLLM's output of each request whose completions have all ended, oldest first.
        """
        engine = self._engine
        ended: dict[str, Any] = {}
        try:
            while engine.has_unfinished_requests() and engine.get_num_unfinished_requests() > max_unfinished:
                ended |= {output.request_id: output for output in engine.step() if output.finished}
        except Exception:
            self.drop()  # or a later call would return what this one was asked for
            raise
        for number in ended:
            del self._engine_ids[number]
        return [(self._subjects.pop(number), ended[number]) for number in list(self._subjects) if number in ended]

    def drop(self) -> None:
        """Give up what is unfinished."""
        self._engine.abort_request(list(self._engine_ids.values()), internal=True)
        self._engine_ids, self._subjects = {}, {}

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Wake up; afterwards sleep where the engine may and nothing is unfinished."""
        self.wake_up()
        try:
            yield
        finally:
            self._sleep()

    def wake_up(self) -> None:
        """Stay awake until the end of the next `awake`."""
        if self._asleep:
            self.llm.wake_up()
            self._asleep = False

    def _sleep(self) -> None:
        if self._may_sleep and not self._subjects:
            self.llm.sleep(level=1)
            self._asleep = True
