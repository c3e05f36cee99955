"""`ray-iqa serve check`: what Serve itself accepts silently in its YAML file, found before it is deployed."""

import ipaddress
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from ray_iqa.config.load import error_sentences, read_tree
from ray_iqa.config.section import Section
from ray_iqa.config.serve import LightModelConfig, LimitsConfig, ReasoningChangesConfig, ServeConfig
from ray_iqa.errors import ConfigError, hint
from ray_iqa.http.auth.keys import KeyRing

_USER_CONFIGS: dict[str, type[Section]] = {
    "Ingress": LimitsConfig,
    "LightScorer": LightModelConfig,
    "ReasoningScorer": ReasoningChangesConfig,
}
_BUILDER = "serve_app:build_app"


def check_file(path: Path) -> list[str]:
    """One sentence per mistake in a Serve config file; none when it can be deployed.

    Raises:
        ConfigError: the file is missing or not a YAML mapping.
    """
    from ray.serve.schema import ServeDeploySchema

    tree = read_tree(path)
    findings = list(_unknown_keys(tree, ServeDeploySchema, ""))
    try:
        ServeDeploySchema.model_validate(tree)
    except ValidationError as error:
        # What is checked below looks at values that have the right shapes.
        return list(dict.fromkeys([*findings, *error_sentences(error, ServeDeploySchema)]))
    except (AttributeError, TypeError) as error:  # of Serve's own validators
        return [*findings, f"a value has another shape than Serve's files have: {error}"]
    for number, application in enumerate(tree.get("applications") or []):
        if isinstance(application, dict) and application.get("import_path") == _BUILDER:
            findings += _check_application(application, f"applications.{number}", tree)
    return list(dict.fromkeys(findings))


def _check_application(application: Mapping[str, Any], where: str, tree: Mapping[str, Any]) -> Iterator[str]:
    try:
        config = ServeConfig.model_validate(application.get("args") or {})
    except ValidationError as error:
        yield from error_sentences(error, ServeConfig, f"{where}.args.")
        return
    host = str((tree.get("http_options") or {}).get("host", "127.0.0.1"))
    if config.access.no_auth and not _is_loopback(host):
        yield f"http_options.host must be 127.0.0.1 with access.no_auth, got {host!r}; use access.keys_file"
    yield from _check_keys(config.access.keys_file, f"{where}.args.access.keys_file")
    known = {"Ingress": True, "LightScorer": config.light is not None, "ReasoningScorer": config.reasoning is not None}
    for number, deployment in enumerate(application.get("deployments") or []):
        place = f"{where}.deployments.{number}"
        name = str(deployment.get("name"))
        if name not in known:
            yield f"{place}.name must be one of {', '.join(known)}, got {name!r}{hint(name, known)}"
        elif not known[name]:
            yield f"{place}: args have no section for {name}; add one or remove the deployment"
        elif user_config := deployment.get("user_config"):
            yield from _check_user_config(name, user_config, f"{place}.user_config.")
        if name == "Ingress":
            yield from _check_ingress_grows(deployment, config.limits, place)


def _check_keys(path: str | None, where: str) -> Iterator[str]:
    if path is None or not os.path.exists(path):  # noqa: PTH110 - False where a folder may not be read
        return  # the nodes have it, this machine need not
    try:
        yield from (f"{where}: {problem}" for problem in KeyRing(path).problems)
    except ConfigError as error:
        yield f"{where}: {error}"


def _check_ingress_grows(deployment: Mapping[str, Any], limits: LimitsConfig, place: str) -> Iterator[str]:
    """Requests above the limit are refused, so the autoscaler never sees more of them than that."""
    target = (deployment.get("autoscaling_config") or {}).get("target_ongoing_requests", 0)
    most = (deployment.get("user_config") or {}).get("max_pending_requests", limits.max_pending_requests)
    if isinstance(target, int | float) and isinstance(most, int) and target >= most:
        yield (
            f"{place}.autoscaling_config.target_ongoing_requests must be below max_pending_requests {most}, or the "
            f"ingress never grows, got {target}"
        )


def _check_user_config(name: str, user_config: Mapping[str, Any], where: str) -> Iterator[str]:
    kind = _USER_CONFIGS[name]
    required = {key: "x" for key, field in kind.model_fields.items() if field.is_required()}
    try:
        kind.model_validate(required | dict(user_config))
    except ValidationError as error:
        yield from error_sentences(error, kind, where)


def _unknown_keys(tree: Any, kind: type[BaseModel], where: str) -> Iterator[str]:  # noqa: ANN401 - YAML values
    """Keys of ``tree`` that no field of ``kind`` has, at any depth; what is not one of Serve's models is left alone."""
    if not isinstance(tree, dict):
        return
    fields = {field.alias or name: field for name, field in kind.model_fields.items()} | dict(kind.model_fields)
    for key, value in tree.items():
        if key not in fields:
            yield f"unknown key {where + str(key)!r}{hint(str(key), fields)}"
            continue
        annotation = fields[key].annotation
        for model in _models_in(annotation):
            items = value if isinstance(value, list) else [value]
            for number, item in enumerate(items):
                place = f"{where}{key}.{number}." if isinstance(value, list) else f"{where}{key}."
                yield from _unknown_keys(item, model, place)
                takes_any = any(get_origin(option) is dict for option in get_args(annotation))
                if isinstance(item, dict) and takes_any:
                    yield from _bad_values(item, model, place)  # Serve takes any mapping here, and fails later


def _bad_values(item: dict[str, Any], kind: type[BaseModel], where: str) -> list[str]:
    try:
        kind.model_validate(item)
    except ValidationError as error:
        return error_sentences(error, kind, where)
    return []


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any type form
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
