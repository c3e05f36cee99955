"""YAML file plus ``key.path=value`` overrides -> validated configuration."""

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ray_iqa.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound=BaseModel)


def load_config(kind: type[ConfigT], path: str, overrides: Sequence[str] = ()) -> ConfigT:
    """Read ``path``, apply ``key.path=value`` overrides (values are YAML), validate as ``kind``.

    Raises:
        ConfigError: the file is missing or not a mapping, an override has no ``=``, a key is unknown
            (the nearest known key is named) or a value is out of range.
    """
    return build_config(kind, read_tree(path), overrides, path)


def read_tree(path: str) -> dict[str, Any]:  # Any: YAML values
    """The mapping in a YAML file, not validated.

    Raises:
        ConfigError: the file is missing or not a mapping.
    """
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"--config must name an existing YAML file, got {path!r} (looked in {Path.cwd()})")
    try:
        tree = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold a mapping of sections, found {type(tree).__name__}")
    return tree


def build_config(
    kind: type[ConfigT],
    tree: dict[str, Any],  # Any: YAML values
    overrides: Sequence[str],
    origin: str,
) -> ConfigT:
    """As `load_config`, for a mapping at hand, which is changed; ``origin`` begins the message of an error."""
    for override in overrides:
        _apply(tree, override)
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{origin}: " + "; ".join(error_sentences(error, kind))) from error


def dump_config(config: BaseModel) -> str:
    """The resolved configuration as JSON, every default spelled out."""
    return json.dumps(config.model_dump(mode="json"), indent=2) + "\n"


def error_sentences(error: ValidationError, kind: type[BaseModel], where: str = "") -> list[str]:
    """One sentence per mistake in a mapping of ``kind``; ``where`` begins the name of its keys."""
    sentences = []
    for item in error.errors():
        location = (where + ".".join(str(part) for part in item["loc"])).rstrip(".") or "the configuration"
        if item["type"] == "extra_forbidden":
            sentences.append(f"unknown key {location!r}{hint(str(item['loc'][-1]), _keys(kind, item['loc'][:-1]))}")
        elif item["type"] == "missing":
            sentences.append(f"required key {location!r} is missing")
        else:
            got = "" if isinstance(item["input"], dict) else f", got {item['input']!r}"
            sentences.append(f"{location}: {item['msg'].removeprefix('Value error, ')}{got}")
    return sentences


def hint(key: str, known: Iterable[str]) -> str:
    """The known key that is nearest to an unknown one, as the end of a sentence; empty if none is near."""
    near = difflib.get_close_matches(key, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def _apply(tree: dict[str, Any], override: str) -> None:  # Any: YAML values
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"an override must look like section.key=value, got {override!r}")
    *parents, leaf = key.split(".")
    node = tree
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ConfigError(f"override {override!r}: {parent} is a value, not a section")
        node = child
    node[leaf] = yaml.safe_load(text)  # 1e-3 stays text in YAML 1.1; pydantic reads it as a number


def _keys(kind: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    fields = kind.model_fields
    for part in location:
        annotation = fields[str(part)].annotation if str(part) in fields else None
        options = [annotation, *getattr(annotation, "__args__", ())]
        sections = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
        if not sections:
            return []
        fields = sections[0].model_fields
    return list(fields)
