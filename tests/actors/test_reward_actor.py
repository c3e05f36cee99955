"""The reward actor dies or hangs; the step's rewards are what they were."""

import signal

import numpy as np
import pytest
from chaos import descendants

from actors.training.reward import RemoteRewardScorer
from ray_iqa.answers.prompt import prompt_by_id
from ray_iqa.config.reward import RewardConfig
from ray_iqa.types import Completion, LabelledImage, RolloutGroup

pytestmark = pytest.mark.usefixtures("joined_ray")


def group(mos: float, scores: list[float]) -> RolloutGroup:
    image = LabelledImage(
        image_id=str(mos), image_path="any.png", dataset="d", mos=mos, mos_std=None, higher_is_better=True
    )
    tokens = np.zeros(1, np.int32)
    texts = [f"<think>seen</think><answer>{score}</answer>" for score in scores]
    completions = tuple(
        Completion(token_ids=tokens, logprobs=np.zeros(1, np.float32), text=text, finish_reason="stop")
        for text in texts
    )
    return RolloutGroup(image=image, prompt_token_ids=tokens, completions=completions, policy_version=0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_reward_actor_is_replaced_within_the_step(
    number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    scorer = RemoteRewardScorer(RewardConfig(), {None: prompt_by_id("thinking")}, {}, deadline_s=5.0)
    groups = [group(1.0, [1.5, 2.0]), group(4.0, [4.0, 3.5]), group(2.0, [4.0, 3.0])]
    before = scorer.score(groups)
    assert before.rewards.std() > 0
    [actor] = [process for process, title in descendants() if title.startswith("ray::RewardWorker")]
    actor.send_signal(number)
    np.testing.assert_array_equal(scorer.score(groups).rewards, before.rewards)
    assert ("was stopped by a signal" in caplog.text) == (number == signal.SIGSTOP)
    scorer.close()
