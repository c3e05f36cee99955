"""Builder of the Ray Serve application: ingress, light scorer and reasoning scorer.

`serve run serve_app:build_app light.artifact=DIR access.no_auth=true`, or one of the files in configs/serve/. Models
are loaded, and torch and vLLM imported, in the replicas only.
"""

from pathlib import Path

from ray import serve
from ray.serve import Application

from actors.serving.ingress import Ingress
from actors.serving.models import LightDeployment, ReasoningDeployment
from ray_iqa.config.precision import check_precision
from ray_iqa.config.section import Section
from ray_iqa.config.serve import ServeConfig

# Queues and timeouts are explicit: Serve's defaults are 5 requests at a replica and an endless queue before it. A queue
# counts requests not yet at a replica, so it must hold a burst of several times what the replicas take at once.
_INGRESS = serve.deployment(
    name="Ingress",
    max_ongoing_requests=64,
    max_queued_requests=2048,  # of anybody: whether there is a key is looked at in the replica
    backpressure_config={"status_code": 503, "retry_after_s": 1.0},
    ray_actor_options={"num_cpus": 0.25},
    graceful_shutdown_timeout_s=60.0,
    health_check_timeout_s=30.0,
)
_LIGHT = serve.deployment(
    name="LightScorer",
    max_ongoing_requests=32,
    max_queued_requests=96,
    backpressure_config={"status_code": 503, "retry_after_s": 1.0},
    ray_actor_options={"num_cpus": 0.75},  # with the two others on the two cores of a laptop
    graceful_shutdown_timeout_s=60.0,
    health_check_timeout_s=60.0,
)
_REASONING = serve.deployment(
    name="ReasoningScorer",
    max_ongoing_requests=32,  # vLLM batches them
    max_queued_requests=96,
    backpressure_config={"status_code": 503, "retry_after_s": 5.0},
    ray_actor_options={"num_cpus": 1},
    graceful_shutdown_timeout_s=120.0,
    health_check_timeout_s=120.0,
)


def build_app(arguments: ServeConfig) -> Application:
    """The application of one service; deployments of models that ``arguments`` does not name are left out."""
    models: dict[str, Application] = {}
    resolved: dict[str, Section] = {}
    if (light := arguments.light) is not None:
        check_precision(light.precision, light.device)
        resolved["light"] = light = light.model_copy(update={"artifact": _absolute(light.artifact)})
        models["light"] = _LIGHT(LightDeployment).bind(light, arguments.decoding)
    if (reasoning := arguments.reasoning) is not None:
        policy = reasoning.policy.model_copy(update={"model": _absolute(reasoning.policy.model)})
        reasoning = reasoning.model_copy(update={"policy": policy})
        models["reasoning"] = _REASONING(ReasoningDeployment).bind(reasoning, arguments.decoding)
    if (keys_file := arguments.access.keys_file) is not None:
        resolved["access"] = arguments.access.model_copy(update={"keys_file": _absolute(keys_file)})
    if (batches := arguments.batches) is not None:
        folders = {"inputs": _absolute(batches.inputs), "outputs": str(Path(batches.outputs).absolute())}
        resolved["batches"] = batches.model_copy(update=folders)
    return _INGRESS(serve.ingress()(Ingress)).bind(models, arguments.model_copy(update=resolved))


def _absolute(path: str) -> str:
    """Replicas have a working directory of their own; a hub name is left as it is."""
    return str(Path(path).absolute()) if Path(path).exists() else path
