"""Section ``cluster``: where the actors run."""

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from ray_iqa.config.section import Section


class ClusterConfig(Section):
    """The Ray cluster and how actors are placed on it."""

    address: str | None = None
    """None joins the cluster a submitted job runs on, else starts a local one; host:port joins a running one."""
    device: Literal["cuda", "cpu"] = "cuda"
    placement: Literal["separate", "per_node", "colocated"] = "separate"
    """separate gives every engine and every learner rank GPUs of its own; so does per_node, which keeps each engine on
    one node with its share of the ranks (or each rank with its share of the engines); colocated puts one of each on
    the same GPU."""
    cpus_per_actor: PositiveFloat = 1.0
    """CPUs reserved for each rollout worker and each learner rank."""
    wait_s: PositiveFloat = 900.0
    """How long to wait for resources that an autoscaler may still bring."""
    max_restarts: NonNegativeInt = 3
    """How often a run whose learner group was lost continues by itself from the last checkpoint."""
    restart_backoff_s: PositiveFloat = 5.0
    """Wait before the first of these restarts; doubled before each further one."""
    max_picture_pixels: PositiveInt | None = None
    """Width times height of a picture that is decoded; a larger one is a row with a reason. None is 50 million, or what
    the variable RAY_IQA_MAX_PIXELS says. A process that decodes one needs about 7 bytes per pixel."""
    timeline: bool = False
    """Write ``timeline.json`` into the run directory when the run ends: what every actor did when, for profiling."""
