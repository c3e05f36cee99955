"""YAML file plus ``key.path=value`` overrides -> validated configuration."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ray_iqa.config.section import put
from ray_iqa.errors import ConfigError, hint
from ray_iqa.path_text import path_text

ConfigT = TypeVar("ConfigT", bound=BaseModel)
_PACKAGE = Path(__file__).parents[1]
_ITEM = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,]*?)\s*(?:,|$)""")


def load_config(kind: type[ConfigT], path: str, overrides: Sequence[str] = ()) -> ConfigT:
    """Read ``path``, apply ``key.path=value`` overrides, validate as ``kind``.

    The value of a key that takes text is the text behind ``=`` as it is; a list is ``[a, b]``, items with a comma in
    quotes, or its one item; ``null`` or nothing is None where a key may be None; a section is YAML.

    Raises:
        ConfigError: the file is missing or not a mapping, an override has no ``=``, a key is unknown
            (the nearest known key is named) or a value is out of range.
    """
    return build_config(kind, read_tree(path), overrides, path)


def read_tree(path: str | Path) -> dict[str, Any]:  # Any: YAML values
    """The mapping in a YAML file, not validated.

    ``path`` may be the name of a packaged config, such as quickstart.

    Raises:
        ConfigError: the file cannot be read, is not YAML or not a mapping, or has a key twice in one mapping.
    """
    packaged, file = packaged_configs(), Path(path)
    if str(path) in packaged and not file.exists():
        file = packaged[str(path)]
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} must be UTF-8 text: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise ConfigError(
            f"a config must be an existing YAML file, got {str(path)!r}: {error.strerror} (looked in {Path.cwd()}); "
            f"packaged ones go by their names: {', '.join(packaged)}"
        ) from error
    tree = _parsed(text, str(path))
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold a mapping of sections, found {type(tree).__name__}")
    return tree


def packaged_configs() -> dict[str, Path]:
    """Configs that come with ray_iqa, by name: the wheel's copy of ``configs/``, or the folder of a clone."""
    inside = _PACKAGE / "configs"
    folder = inside if inside.is_dir() else _PACKAGE.parent / "configs"
    return {path.stem: path for path in sorted(folder.glob("*/*.yaml"))}


def build_config(
    kind: type[ConfigT],
    tree: dict[str, Any],  # Any: YAML values
    overrides: Sequence[str],
    origin: str,
) -> ConfigT:
    """As `load_config`, for a mapping at hand, which is changed; ``origin`` begins the message of an error."""
    for override in overrides:
        _apply(tree, override, kind)
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


class _Loader(yaml.SafeLoader):
    """Refuses a key twice in one mapping, of which the last one would win, and what no path of Ray may have."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 - as in the base class
        node = super().compose_mapping_node(anchor)
        first: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            earlier = first.setdefault(str(key.value), key)
            if earlier is not key and not key.tag.endswith(":merge"):
                line = earlier.start_mark.line + 1
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key.value!r} is already at line {line}; remove one", problem_mark=key.start_mark
                )
        return node

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:  # noqa: ANN401 - as in the base class
        node = super().compose_scalar_node(anchor)
        if "\0" in node.value or path_text(node.value) != node.value:
            problem = f"a value must be text without NUL, got {node.value!r}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return node


def _parsed(text: str, place: str) -> Any:  # noqa: ANN401 - YAML values
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" line {error.problem_mark.line + 1}"
        raise ConfigError(f"{place}{line} is not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a character, a date that does not exist, depth
        raise ConfigError(f"{place} is not valid YAML: {str(error).splitlines()[0]}") from error


def _apply(tree: dict[str, Any], override: str, kind: type[BaseModel]) -> None:  # Any: YAML values
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"an override must look like section.key=value, got {override!r}")
    put(tree, key, _value(text, _annotation(kind, key.split(".")), override), f"override {override!r}")


def _value(text: str, annotation: Any, override: str) -> Any:  # noqa: ANN401 - any type form, YAML values
    """What the shell passed, taken apart only where the key's type has parts."""
    options = _options(annotation)
    if NoneType in options and text in ("", "null"):
        return None
    if not text:
        raise ConfigError(f"override {override!r} has no value; is a variable of the shell not set?")
    if any(fields_of(item) for option in options for item in get_args(option)[:1] if str not in _options(item)):
        return _parsed(text, f"override {override!r}")
    if any(get_origin(option) in (list, tuple) for option in options):
        if text[0] == "[" and text[-1] == "]":
            return _items(text[1:-1], override)
        if str not in options:
            return [text]
    if str in options or annotation is None:  # an unknown key is reported by the validation
        return text
    if fields_of(annotation) or any(get_origin(option) is dict for option in options):
        return _parsed(text, f"override {override!r}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # a name, or a number as Python writes it
        return text


def _items(text: str, override: str) -> list[str]:
    items = [match[1] for match in _ITEM.finditer(text.strip())][:-1]  # the last match is the empty end
    if "" in items:
        raise ConfigError(f"override {override!r} has an empty item; is a variable of the shell not set?")
    return [_unquoted(item, override) for item in items]


def _unquoted(item: str, override: str) -> str:
    if len(item) < 2 or item[0] != item[-1] or item[0] not in "\"'":
        return item
    if item[0] == "'":
        return item[1:-1].replace("''", "'")
    try:
        return str(json.loads(item))
    except ValueError as error:
        raise ConfigError(f"override {override!r}: {item} must be quoted as in JSON: {error}") from error


def _keys(kind: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    return list(fields_of(_annotation(kind, location)))


def _annotation(kind: type[BaseModel], location: Sequence[str | int]) -> Any:  # noqa: ANN401 - any type form
    """Type of the key at ``location``; None if there is no such key."""
    annotation: Any = kind
    for part in location:
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        else:
            fields = fields_of(annotation)
            annotation = fields[str(part)].annotation if str(part) in fields else None
    return annotation


def fields_of(annotation: Any) -> Mapping[str, FieldInfo]:  # noqa: ANN401 - any type form
    """Of the section that a type is or may be; none of other types."""
    return next((section.model_fields for section in sections_of(annotation)), {})


def sections_of(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - any type form
    """The sections among what a type may be."""
    return [option for option in _options(annotation) if isinstance(option, type) and issubclass(option, BaseModel)]


def _options(annotation: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any type form
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
