"""Pages for people: `/` is one static file whose script and style its security policy names by hash; `/docs`."""

import base64
import gzip
import hashlib
from functools import cache
from importlib.resources import files

import fastapi_offline
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response

from ray_iqa.http.problems import Problem

_DOCS_FILES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}


async def page_response() -> HTMLResponse:
    """The page with its policy."""
    text, policy = _page()
    return HTMLResponse(text, headers={"Content-Security-Policy": policy, "Cache-Control": "no-cache"})


@cache
def _page() -> tuple[str, str]:
    text = (files("ray_iqa.http.routes") / "page.html").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; script-src {_hash_of('script', text)}; style-src {_hash_of('style', text)}; "
        "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text, policy


def docs_page(title: str) -> HTMLResponse:
    """The interactive description of the interface (Swagger UI), from files of this service."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=title,
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="data:,",
    )
    policy = (
        f"default-src 'none'; script-src 'self' {_hash_of('script', bytes(page.body).decode())}; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
    )
    page.headers["Content-Security-Policy"] = policy
    return page


async def docs_file(name: str) -> Response:
    """A part of Swagger UI, compressed, which every browser reads: what it takes here and on its way is a third."""
    if name not in _DOCS_FILES:
        raise Problem(404, "not-found", "Not Found")
    headers = {"Cache-Control": "max-age=3600", "Content-Encoding": "gzip"}
    return Response(_docs_file(name), media_type=_DOCS_FILES[name], headers=headers)


@cache
def _docs_file(name: str) -> bytes:
    return gzip.compress((files(fastapi_offline) / "static" / name).read_bytes(), mtime=0)


def _hash_of(element: str, text: str) -> str:
    content = text.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
