"""What may be sent to the scoring routes, as JSON or as multipart/form-data."""

from typing import Annotated, Any, ClassVar, Literal, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveInt, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from ray_iqa.config.serve import LimitsConfig
from ray_iqa.http.image_source import image_too_large, picture_of
from ray_iqa.http.problems import Problem
from ray_iqa.http.settings import Settings

Images = Annotated[
    list[str],
    Field(
        default_factory=list,
        description="Pictures as base64 or data: URIs. In a multipart request the files are the pictures instead.",
        json_schema_extra={"minItems": 1},
    ),
]
_MAX_FIELDS = 20


class PictureRequest(BaseModel):
    """Pictures and who is to look at them."""

    model_config = ConfigDict(extra="forbid")
    num_images: ClassVar[tuple[int, int | None]] = (1, None)
    """Least and most; None is the service's own limit."""

    images: Images
    model: str | None = Field(
        default=None, description="light, reasoning or cascade; the cheapest there is if left out."
    )


class DescribeRequest(PictureRequest):
    """A picture that is to be described."""

    num_images: ClassVar[tuple[int, int | None]] = (1, 1)

    stream: bool = Field(default=True, description="Server-sent events while the answer is written, or one document.")


class ScoreRequest(PictureRequest):
    """Pictures that are to be judged."""

    threshold: NonNegativeFloat | None = Field(
        default=None, description="For cascade: light spreads above it go to the reasoning model."
    )


class CompareRequest(ScoreRequest):
    """Pictures of which each is compared with each."""

    num_images: ClassVar[tuple[int, int | None]] = (2, None)


class RerankRequest(ScoreRequest):
    """Pictures of which the best are wanted."""

    documents: Images
    top_n: PositiveInt | None = Field(default=None, description="Only the best so many; all of them if left out.")


class RewardRequest(ScoreRequest):
    """Pictures made by a generator that is being trained."""

    scale: Literal["native", "unit"] = Field(description="native: the model's own 1 to 5. unit: mapped to 0 to 1.")


RequestT = TypeVar("RequestT", bound=PictureRequest)


async def read_request(request: Request, kind: type[RequestT], settings: Settings) -> tuple[RequestT, list[bytes]]:
    """The validated request and the content of its pictures, in order.

    Raises:
        Problem: 400 malformed body, 403 a URL not allowed, 413 too large, 415 another media type, 422 a value at fault.
    """
    limits = settings.limits
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        query = _validated(kind, await request.body())
        documents = query.documents if isinstance(query, RerankRequest) else []
        name, texts = ("documents", documents) if documents else ("images", query.images)
        _check_number(len(texts), kind, limits)
        images = [await picture_of(text, f"/{name}/{place}", settings) for place, text in enumerate(texts)]
    elif media_type == "multipart/form-data":
        query, images = await _read_form(request, kind, limits)
        _check_number(len(images), kind, limits)
    else:
        raise Problem(
            415,
            "unsupported-media-type",
            f"Content-Type must be application/json or multipart/form-data, got {media_type[:80]!r}",
        )
    return query, images


def body_schema(kind: type[PictureRequest]) -> dict[str, Any]:  # Any: OpenAPI
    """The requestBody of an operation that `read_request` serves."""
    fields = {
        name: schema for name, schema in _schema(kind)["properties"].items() if name not in ("images", "documents")
    }
    files = {"type": "array", "items": {"type": "string", "contentMediaType": "application/octet-stream"}}
    form = {"type": "object", "properties": {"file": files, **fields}, "required": ["file"]}
    return {
        "required": True,
        "content": {"application/json": {"schema": _schema(kind)}, "multipart/form-data": {"schema": form}},
    }


def _schema(kind: type[PictureRequest]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    schema["required"] = [*schema.get("required", []), "documents" if "documents" in schema["properties"] else "images"]
    return schema


def _validated(kind: type[RequestT], body: bytes | dict[str, Any]) -> RequestT:
    try:
        return kind.model_validate_json(body) if isinstance(body, bytes) else kind.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Problem(400, "bad-json", f"the body must be JSON: {first['msg']}") from error
        pointer = "".join(f"/{part}" for part in first["loc"])
        raise Problem(422, "invalid-request", first["msg"], pointer=pointer) from error


async def _read_form(request: Request, kind: type[RequestT], limits: LimitsConfig) -> tuple[RequestT, list[bytes]]:
    fields: dict[str, Any] = {}
    images: list[bytes] = []
    try:
        async with request.form(max_files=limits.max_images + 1, max_fields=_MAX_FIELDS) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    if (value.size or 0) > limits.max_image_bytes:
                        raise image_too_large(f"/{name}/{len(images)}", limits)
                    images.append(await value.read())
                elif name in ("images", "documents"):
                    raise Problem(422, "invalid-request", "in a form the pictures are files", pointer=f"/{name}")
                else:
                    fields[name] = value
    except HTTPException as error:
        raise Problem(400, "bad-form", f"the multipart body cannot be read: {error.detail}") from error
    return _validated(kind, fields), images


def _check_number(number: int, kind: type[PictureRequest], limits: LimitsConfig) -> None:
    least, most = kind.num_images
    if number < least:
        raise Problem(422, "too-few-images", f"at least {least} images are needed, got {number}", pointer="/images")
    if number > (most := most or limits.max_images):
        raise Problem(413, "too-many-images", f"at most {most} images are allowed, got {number}", pointer="/images")
