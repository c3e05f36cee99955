"""Groups of a step to encoded groups: images are decoded and preprocessed ahead of the forward pass."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ray_iqa.data.images import load_image
from ray_iqa.errors import ConfigError, DataError
from ray_iqa.policy.inputs import PolicyInputs
from ray_iqa.policy.token_rows import EncodedGroup
from ray_iqa.types import TrainingGroup

_NUM_THREADS = 2
_MICRO_BATCHES_AHEAD = 2


def encode_group(inputs: PolicyInputs, group: TrainingGroup) -> EncodedGroup:
    """Read the group's image and encode it exactly as the sampler did.

    Raises:
        DataError: the image cannot be read.
        ConfigError: it gives other prompt tokens than the sampler saw.
    """
    prompt = inputs.encode(load_image(group.image_path), group.question)
    if not np.array_equal(prompt.token_ids.numpy(), group.prompt_token_ids):
        raise ConfigError(
            f"sampler and learner must see the same prompt of {group.image_path}: the sampler saw "
            f"{len(group.prompt_token_ids)} tokens, the learner encodes {len(prompt.token_ids)}; "
            f"the image changed during the run or their processors differ"
        )
    return EncodedGroup(prompt=prompt, completions=group.completions)


def encoded_ahead(
    inputs: PolicyInputs, micro_batches: Iterable[tuple[TrainingGroup, ...]]
) -> Iterator[list[EncodedGroup | str]]:
    """Encoded micro-batches in order; a few are prepared by threads while the current one is used.

    In the place of a group whose image cannot be read any more stands why. Raises otherwise as `encode_group`.
    """
    with ThreadPoolExecutor(max_workers=_NUM_THREADS, thread_name_prefix="encode") as pool:
        waiting: deque[list[Future[EncodedGroup | str]]] = deque()
        for groups in micro_batches:
            waiting.append([pool.submit(_encoded_or_reason, inputs, group) for group in groups])
            if len(waiting) > _MICRO_BATCHES_AHEAD:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]


def _encoded_or_reason(inputs: PolicyInputs, group: TrainingGroup) -> EncodedGroup | str:
    try:
        return encode_group(inputs, group)
    except DataError as error:
        return str(error)
