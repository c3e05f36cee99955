"""What the group says and does about a rank that hangs or dies, on real Ray actors with a stand-in for the engine."""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
import ray

from actors.cluster.processes import ProcessPlace, announce_process
from actors.training.learner import LearnerGroup
from ray_iqa.config.learner import DeepSpeedLearnerConfig
from ray_iqa.config.policy import PolicyConfig
from ray_iqa.errors import ConfigError, LearnerLostError, OutputError
from ray_iqa.runs.checkpoints import CheckpointStore
from ray_iqa.runs.remote_files import folder_for_writing
from ray_iqa.types import LearnerUpdate, Progress, TrainingBatch

pytestmark = pytest.mark.usefixtures("joined_ray")
DEADLINE_S = 5.0


class StandInRank:
    """Rank 1 fails in the way that the version of the batch says; rank 0 then waits for it, as a gang does."""

    def enter(self) -> tuple[ProcessPlace, int]:
        with socket.socket() as probe:
            probe.bind(("", 0))
            return announce_process(), probe.getsockname()[1]

    def start(self, rendezvous: dict[str, str], *_settings: object) -> None:
        self._rank = int(rendezvous["RANK"])

    def update(self, batch: TrainingBatch) -> LearnerUpdate:
        if batch.policy_version < 0:
            raise ConfigError("the loss must be finite")
        if batch.policy_version:
            self._meet() if self._rank == 0 else os.kill(os.getpid(), batch.policy_version)
        return LearnerUpdate(policy_version=1, metrics={"rank": self._rank})

    def export(self, target: str) -> None:
        with folder_for_writing(target) as folder:
            (folder / "weights").touch()
            if (Path(target.removeprefix("file://")) / "full").exists():
                raise OutputError("the disk is full")

    def _meet(self) -> None:
        time.sleep(60)


ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test file


@pytest.fixture
def group(tmp_path: Path) -> LearnerGroup:
    ranks = [ray.remote(StandInRank).options(num_cpus=0).remote() for _ in range(2)]
    config = DeepSpeedLearnerConfig(num_ranks=2, update_deadline_s=DEADLINE_S)
    group = LearnerGroup(
        ranks, PolicyConfig(model="any"), config, CheckpointStore(str(tmp_path), 1), num_steps=1, seed=0
    )
    group.wait_ready()
    return group


def test_a_hung_step_is_reported_with_the_stacks_of_all_silent_ranks(
    group: LearnerGroup, caplog: pytest.LogCaptureFixture
) -> None:
    assert group.update(TrainingBatch(groups=(), policy_version=0)).metrics == {"rank": 0}
    with pytest.raises(LearnerLostError, match="did not finish update within 5 s"):
        group.update(TrainingBatch(groups=(), policy_version=signal.SIGSTOP))
    culprit = next(text for text in caplog.messages if "was stopped by a signal" in text)
    assert "in update" in culprit
    assert "in _meet" not in culprit
    assert any("in _meet" in text for text in caplog.messages)
    group.close()


def test_what_the_user_must_act_on_comes_without_the_remote_traceback(group: LearnerGroup) -> None:
    with pytest.raises(ConfigError) as caught:
        group.update(TrainingBatch(groups=(), policy_version=-1))
    assert str(caught.value) == "the loss must be finite"
    group.close()


def test_a_policy_at_a_uri_tells_its_version_only_when_it_is_whole(group: LearnerGroup, tmp_path: Path) -> None:
    version = tmp_path / "policy" / "policy_version.json"
    group.export(f"file://{tmp_path / 'policy'}", Progress(step=2, policy_version=1))
    assert json.loads(version.read_text())["policy_version"] == 1
    (tmp_path / "policy" / "full").touch()
    with pytest.raises(OutputError):
        group.export(f"file://{tmp_path / 'policy'}", Progress(step=3, policy_version=2))
    assert not version.exists()
    group.close()


def test_a_dead_rank_is_noticed_at_once_though_the_others_wait(group: LearnerGroup) -> None:
    began = time.monotonic()
    with pytest.raises(LearnerLostError, match="a learner rank died during update"):
        group.update(TrainingBatch(groups=(), policy_version=signal.SIGKILL))
    assert time.monotonic() - began < DEADLINE_S
    group.close()
