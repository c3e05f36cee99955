"""vLLM's asynchronous engine for many askers at once: requests join and leave its batch at any step."""

import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from PIL import Image
from vllm.exceptions import GracefulHTTPError, VLLMClientError
from vllm.v1.engine.exceptions import EngineGenerateError
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import IterationStats, MultiModalCacheStats, SchedulerStats

from ray_iqa.backends.vllm.engine import start_async_engine
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.errors import WeightTransferError
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.serving.conversation import RefusedError
from ray_iqa.serving.types import BusyError


class AnswerEngine:
    """One engine; must be made and used within one event loop.

    Args:
        policy: the model and how it sees.
        rollout: engine settings.
        reports_to_ray: vLLM's own figures go to Ray's exporter; only inside a Ray process.

    Raises:
        ConfigError: the model or the prompt cannot be found.
    """

    def __init__(self, policy: PolicyConfig, rollout: VllmRolloutConfig, *, reports_to_ray: bool = False) -> None:
        self.inputs = PolicyInputs(policy)
        self._load = _Load()
        self._broken: Exception | None = None
        loggers: list[Any] = [lambda *_: self._load]  # Any: vLLM's own factories
        if reports_to_ray:
            from vllm.v1.metrics.ray_wrappers import RayPrometheusStatLogger

            loggers.append(RayPrometheusStatLogger)
        self._engine = start_async_engine(policy, rollout, self.inputs.mm_processor_kwargs, loggers)

    @property
    def num_running(self) -> int:
        """Answers in the engine's batch or waiting for it, as the engine itself last said."""
        return self._load.num_requests

    async def outputs(
        self,
        prompt_token_ids: Sequence[int],
        picture: Image.Image | None,
        params: Any,  # noqa: ANN401 - vLLM's SamplingParams
    ) -> AsyncGenerator[Any, None]:  # Any: vLLM's RequestOutput
        """What the engine has to say about a request, as often as ``params.output_kind`` wants it.

        A cancelled or closed iteration takes the request out of the engine.

        Raises:
            RefusedError: the engine or the model's processor cannot take this prompt.
            BusyError: the engine's queue is full, or it is about to be replaced.
        """
        if self._broken is not None:
            raise BusyError("this engine failed to take over new weights and is being replaced", 5.0)
        prompt: dict[str, Any] = {"prompt_token_ids": list(prompt_token_ids)}
        if picture is not None:
            prompt["multi_modal_data"] = {"image": picture}
        try:
            async with aclosing(self._engine.generate(prompt, params, uuid.uuid4().hex)) as outputs:
                async for output in outputs:
                    yield output
        except (VLLMClientError, ValueError) as error:
            raise _refused(error) from error
        except GracefulHTTPError as error:
            raise BusyError("the engine's queue is full", 5.0) from error
        except EngineGenerateError as error:  # whatever the processor raised about this request
            if not isinstance(error.__cause__, ValueError):
                raise
            raise _refused(error) from error

    async def install(self, folder: Path) -> None:
        """Answer with the weights of a folder from now on; see `replacement_folder` for which ones fit.

        Nothing may be asked meanwhile.

        Raises:
            WeightTransferError: vLLM did not take them over, and holds weights that belong to no model.
        """
        try:
            await self._engine.pause_generation(mode="wait")  # those that nobody waits for any longer
            await self._engine.collective_rpc("install_folder", args=(str(folder),))
            await self._engine.reset_prefix_cache()
            await self._engine.reset_mm_cache()
            await self._engine.reset_encoder_cache()
            await self._engine.resume_generation()
        except Exception as error:  # whatever a layer's loader trips over
            self._broken = WeightTransferError(f"vLLM did not take over the weights of {folder}: {error}")
            raise self._broken from error

    async def check_health(self) -> None:
        """Do nothing, or raise what is wrong with the engine: it died, or an `install` broke off."""
        if self._broken is not None:
            raise self._broken
        await self._engine.check_health()

    def close(self) -> None:
        """Stop the engine; nothing else may be called afterwards."""
        self._engine.shutdown()


def _refused(error: BaseException) -> RefusedError:
    """With the model's own sentence; an engine's one around it has addresses in memory."""
    while error.__cause__ is not None:
        error = error.__cause__
    return RefusedError(f"the policy cannot look at it: {error}")


class _Load(StatLoggerBase):  # type: ignore[misc]  # vLLM is not followed
    """Keeps how many requests the engine has."""

    def __init__(self) -> None:
        self.num_requests = 0

    def record(
        self,
        scheduler_stats: SchedulerStats | None,
        iteration_stats: IterationStats | None,  # noqa: ARG002 - vLLM's interface
        mm_cache_stats: MultiModalCacheStats | None = None,  # noqa: ARG002
        engine_idx: int = 0,  # noqa: ARG002
    ) -> None:
        """Called by vLLM after every step."""
        if scheduler_stats is not None:
            self.num_requests = scheduler_stats.num_running_reqs + scheduler_stats.num_waiting_reqs

    def log_engine_initialized(self) -> None:
        """Nothing to say."""
