"""The configuration of the HTTP service: `args` of an application in configs/serve/."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from ray_iqa.config.policy import PolicyConfig
from ray_iqa.config.precision import Precision
from ray_iqa.config.rollout import VllmRolloutConfig
from ray_iqa.config.section import Section, put
from ray_iqa.errors import ConfigError

FetchHost = Annotated[str, Field(pattern=r"^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+$")]
"""A lower-case name with a dot in it; an address or a name of the local network is none."""


class LimitsConfig(Section):
    """What one request may ask for; `user_config` of the ingress replaces single keys without a restart."""

    max_image_bytes: PositiveInt = 20_000_000
    """Of one picture as a file."""
    max_request_bytes: PositiveInt = 64_000_000
    """Of a whole body, counted while it is read; base64 is a third longer than the picture."""
    max_images: PositiveInt = 64
    """Pictures of one request."""
    max_pending_requests: PositiveInt = 12
    """Requests with a body that one ingress replica answers at a time; more are refused before they are read. About
    twice what keeps a light replica busy, so that what is accepted is answered in seconds."""
    request_timeout_s: PositiveFloat = 60.0
    """From the headers of a request to its answer, reading included; a streamed answer may take as long again."""
    fetch_hosts: tuple[FetchHost, ...] = ()
    """Hosts from which https URLs of pictures are fetched, such as images.example.org or *.example.org; none are."""
    fetch_timeout_s: PositiveFloat = 10.0
    """Of one picture, redirects included."""
    cascade_threshold: NonNegativeFloat = 0.8
    """Model `cascade` asks the reasoning model when the light spread is larger; a request may say otherwise."""


class DecodingConfig(Section):
    """How strangers' files become pixels."""

    max_pixels: PositiveInt = 50_000_000
    """Width times height, read from the header before anything is decoded."""
    max_aspect_ratio: PositiveFloat = 100.0
    """Long side by short side: models enlarge the short side, so that a thin line would become a giant."""
    num_workers: PositiveInt = 2
    """Decoder processes of one replica."""
    timeout_s: PositiveFloat = 10.0
    """A decoder that takes longer is killed; its picture counts as failed."""
    max_pending_pixels: PositiveInt = 100_000_000
    """Of decoded pictures that wait for the model of one replica, at three bytes each."""
    max_memory_bytes: PositiveInt = 2 * 2**30
    """That one decoder process may take for pictures."""


class AccessConfig(Section):
    """Who may ask, and how often."""

    keys_file: str | None = None
    """Hashed API keys, one `<sha256> <name>` per line (see `ray-iqa serve key`); as it is at each request."""
    no_auth: bool = False
    """Answer without keys, to this machine only."""
    requests_per_second: PositiveFloat = 10.0
    """Of one key at one ingress replica, on average."""
    burst: PositiveInt = 50
    """Requests that a key may send at once after a pause."""

    def _disagreements(self) -> Iterator[str]:
        if self.no_auth == (self.keys_file is not None):
            yield (
                "exactly one must be given: keys_file (a file of hashed keys) or no_auth (true answers this machine "
                f"only), got keys_file {self.keys_file!r} and no_auth {self.no_auth}"
            )


class LightModelConfig(Section):
    """The light scorer; `user_config` of its deployment may replace ``artifact``."""

    artifact: str
    """Folder written by fit-rali or convert-rali, visible to every node."""
    device: str = "cpu"
    precision: Precision = "fp32"
    """Of the image tower. bf16 is for GPUs; int8 for CPUs."""
    max_batch_pixels: PositiveInt = 16_000_000
    """Pixels scored in one batch, each picture counted with its own size and the tower's."""
    batch_wait_s: NonNegativeFloat = 0.05
    """How long a batch waits at most for pictures that are being decoded; with none of them it does not wait."""
    profile: str | None = None
    """File for a trace of a replica's third batch, which Perfetto opens; its table's name has ``.txt`` added."""


class ReasoningModelConfig(Section):
    """The reasoning model on vLLM; `user_config` of its deployment is `ReasoningChangesConfig`."""

    policy: PolicyConfig
    engine: VllmRolloutConfig = VllmRolloutConfig()
    """``num_completions`` answers are drawn per picture: their mean is the score, their deviation the spread."""
    seed: NonNegativeInt = 0
    """Mixed with each picture's content, so that a picture always gets the same answers."""


class ReasoningChangesConfig(Section):
    """`user_config` of the reasoning model's deployment: a key left out is as in the application's arguments."""

    model: str | None = None
    """Folder or hub name of other weights of the same architecture; replicas need an absolute path."""
    revision: str | None = None
    """Git revision of a hub model."""
    num_completions: int | None = Field(default=None, ge=2)
    """Answers per picture."""
    max_tokens: PositiveInt | None = None
    """Longest answer in tokens."""

    def applied_to(self, config: ReasoningModelConfig) -> ReasoningModelConfig:
        """``config`` with these changes; a model without a revision has none."""
        given = self.model_dump(exclude_none=True)
        policy: dict[str, str | None] = {name: given.pop(name) for name in ("model", "revision") if name in given}
        if "model" in policy:
            policy.setdefault("revision", None)
        changes = {"policy": config.policy.model_copy(update=policy), "engine": config.engine.model_copy(update=given)}
        return config.model_copy(update=changes)


SectionT = TypeVar("SectionT", bound=Section)


def user_config(kind: type[SectionT], values: Mapping[str, Any], deployment: str, keys: str) -> SectionT:
    """What Serve hands to a running deployment, as ``kind``.

    Raises:
        ConfigError: a key or value is not one of ``keys``, which is what users call them.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(f"user_config of {deployment} must hold keys of {keys}: {error}") from error


class BatchesConfig(Section):
    """Jobs that score whole folders; who asks names folders below ``inputs`` and gets results below ``outputs``."""

    inputs: str
    """Folder of everything that may be scored; every node must see it."""
    outputs: str
    """Folder of results, one sub-folder per job."""


class ServeConfig(Section):
    """Models and rules of one service. Keys may be dotted, as in `serve run serve_app:build_app light.artifact=DIR`."""

    light: LightModelConfig | None = None
    reasoning: ReasoningModelConfig | None = None
    batches: BatchesConfig | None = None
    access: AccessConfig
    limits: LimitsConfig = LimitsConfig()
    decoding: DecodingConfig = DecodingConfig()

    @model_validator(mode="before")
    @classmethod
    def _undotted(cls, values: Any) -> Any:  # noqa: ANN401 - whatever was passed, pydantic says what is wrong
        if not isinstance(values, dict):
            return values
        tree: dict[str, Any] = {}
        for key, value in values.items():
            put(tree, str(key), value, str(key))
        return tree

    def _disagreements(self) -> Iterator[str]:
        if self.light is None and self.reasoning is None:
            yield "at least one of the sections light and reasoning must be given, found neither"
        if self.batches is not None and self.light is None:
            yield "batches needs the section light, whose artifact its jobs use; found none"
