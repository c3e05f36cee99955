"""One learner rank's part in broadcasting weights GPU to GPU.

Not run on a GPU yet; both ends, `weights.send` and `vllm.weight_installer`, are tested with a gloo transport on a CPU.
"""

from ray_iqa.backends.deepspeed.learner import DeepSpeedLearner
from ray_iqa.backends.weights.send import Receivers, Transport, WeightSender, follow
from ray_iqa.backends.weights.transports import IpcTransport, NcclTransport
from ray_iqa.config.learner import WeightTransferConfig
from ray_iqa.types import WeightReceipt


class Broadcaster:
    """Made on every rank; rank 0 sends, the others take part in gathering."""

    def __init__(self, learner: DeepSpeedLearner, rank: int, config: WeightTransferConfig, host: str) -> None:
        """``host`` is this process's address that the samplers can reach."""
        self._learner, self._rank, self._config, self._host = learner, rank, config, host
        self._sender: WeightSender | None = None
        self._fleet: tuple[str, ...] = ()

    def broadcast(self, receivers: Receivers, gpus_per_engine: int) -> list[WeightReceipt]:
        """Send the current weights to all samplers; receipts on rank 0, nothing elsewhere.

        When they are others than in the last call, a new group is formed.

        Raises:
            WeightTransferError: see `WeightSender.send`.
        """
        canary, fleet = self._learner.canary(), receivers.fleet
        chunks = self._learner.weight_chunks(self._config.chunk_mib * 2**20)
        transport = self._transport(len(fleet), gpus_per_engine)
        if self._rank > 0:
            follow(transport, chunks)
            return []
        if self._sender is None or fleet != self._fleet:
            if self._sender is not None:
                self._sender.leave()
            self._sender = WeightSender(transport, receivers, self._config.phase_deadline_s)
            self._fleet = fleet
        return self._sender.send(self._learner.manifest(), chunks, self._learner.policy_version, canary)

    def _transport(self, num_engines: int, gpus_per_engine: int) -> Transport:
        if self._config.type == "nccl":
            return NcclTransport(self._host, num_engines, gpus_per_engine, self._config.chunk_mib * 2**20)
        return IpcTransport(num_engines)
