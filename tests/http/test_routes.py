import base64
import hashlib
import io
import math
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from ray_iqa.serving.light_model import LightModel

Encode = Callable[..., bytes]


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _expected(light: LightModel, content: bytes) -> float:
    [row] = light.score([Image.open(io.BytesIO(content)).convert("RGB")])
    assert row.value is not None
    return row.value


def test_a_score_says_everything_about_itself(client: TestClient, light: LightModel, png: Encode) -> None:
    content = png()
    reply = client.post("/v1/score", json={"images": [_text(content)]})
    assert reply.status_code == 200
    [item] = reply.json()["data"]
    assert item["value"] == pytest.approx(_expected(light, content), abs=1e-4)
    assert item["spread"] > 0
    assert item["scale"] == {"minimum": 1.0, "maximum": 5.0}
    assert item["higher_is_better"] is True
    assert (item["model"], item["revision"]) == ("light", light.card.revision)
    assert (item["status"], item["reason"], item["prompt_id"]) == ("ok", None, None)
    assert (item["width"], item["height"], item["index"]) == (70, 60, 0)
    assert item["sha256"] == hashlib.sha256(content).hexdigest()


def test_json_data_uri_and_multipart_give_the_same_score(client: TestClient, png: Encode) -> None:
    content = png(1)
    uri = f"data:image/png;base64,{_text(content)}"
    by_json = client.post("/v1/score", json={"images": [_text(content), uri]}).json()["data"]
    files = [("file", ("a.png", content, "image/png")), ("file", ("ü/../b.png", content, "image/png"))]
    by_form = client.post("/v1/score", files=files, data={"model": "light"}).json()["data"]
    values = {item["value"] for item in by_json + by_form}
    assert len(values) == 1
    assert None not in values


def test_the_company_of_other_pictures_changes_nothing(client: TestClient, png: Encode) -> None:
    contents = [png(seed, (60 + 10 * seed, 64)) for seed in range(6)]
    alone = [
        client.post("/v1/score", json={"images": [_text(content)]}).json()["data"][0]["value"] for content in contents
    ]
    together = client.post("/v1/score", json={"images": [_text(content) for content in contents]}).json()["data"]
    assert [item["value"] for item in together] == pytest.approx(alone, abs=1e-4)


def test_a_broken_picture_fails_alone(client: TestClient, png: Encode) -> None:
    images = [png(1), b"not a picture", png(2)[:200], png(3)]
    reply = client.post("/v1/score", json={"images": [_text(image) for image in images]})
    assert reply.status_code == 200
    items = reply.json()["data"]
    assert [item["status"] for item in items] == ["ok", "failed", "failed", "ok"]
    assert [item["value"] is None for item in items] == [False, True, True, False]
    assert "must be one of JPEG" in items[1]["reason"]
    assert "cannot decode" in items[2]["reason"]


def test_compare_ranks_and_gives_thurstone_probabilities(client: TestClient, png: Encode) -> None:
    images = [png(1), b"broken", png(2), png(3, (200, 90))]
    reply = client.post("/v1/compare", json={"images": [_text(image) for image in images]}).json()
    items, table = reply["data"], reply["probabilities"]
    assert reply["ranking"] == sorted([0, 2, 3], key=lambda index: -items[index]["value"])
    gap = items[0]["value"] - items[3]["value"]
    deviation = math.sqrt(items[0]["spread"] ** 2 + items[3]["spread"] ** 2)
    assert table[0][3] == pytest.approx(0.5 * (1 + math.erf(gap / deviation / math.sqrt(2))), abs=1e-4)
    assert table[0][3] + table[3][0] == pytest.approx(1)
    assert table[1] == [None] * 4
    assert [row[1] for row in table] == [None] * 4


def test_rerank_returns_the_best_first_and_names_failures(client: TestClient, png: Encode) -> None:
    images = [png(seed) for seed in range(4)]
    scores = client.post("/v1/score", json={"images": [_text(image) for image in images]}).json()["data"]
    reply = client.post(
        "/v1/rerank", json={"documents": [_text(image) for image in images] + [_text(b"x" * 9)], "top_n": 2}
    ).json()
    best = sorted(scores, key=lambda item: -item["value"])[:2]
    assert [result["index"] for result in reply["results"]] == [item["index"] for item in best]
    assert [result["relevance_score"] for result in reply["results"]] == pytest.approx(
        [(item["value"] - 1) / 4 for item in best]
    )
    assert [item["index"] for item in reply["failed"]] == [4]


def test_rewards_are_on_the_scale_asked_for_and_never_stand_ins(client: TestClient, png: Encode) -> None:
    images = [_text(png(1)), _text(b"broken"), _text(png(2))]
    native = client.post("/reward", json={"images": images, "scale": "native"}).json()
    unit = client.post("/reward", json={"images": images, "scale": "unit"}).json()
    assert native["scale"] == {"minimum": 1.0, "maximum": 5.0}
    assert unit["scale"] == {"minimum": 0.0, "maximum": 1.0}
    assert native["rewards"][1] is None is unit["rewards"][1]
    assert unit["reasons"][1]
    for place in (0, 2):
        assert unit["rewards"][place] == pytest.approx((native["rewards"][place] - 1) / 4)
    refused = client.post("/reward", json={"images": images})
    assert (refused.status_code, refused.json()["pointer"]) == (422, "/scale")


def test_models_are_listed_and_unknown_ones_named(client: TestClient, light: LightModel, png: Encode) -> None:
    [card] = client.get("/v1/models").json()["data"]
    assert (card["id"], card["object"], card["revision"]) == ("light", "model", light.card.revision)
    assert card["max_pixels"] == 2_000_000
    assert client.get("/v1/models/light").json() == card
    missing = client.post("/v1/score", json={"images": [_text(png())], "model": "ligth"})
    assert missing.status_code == 404
    assert "did you mean 'light'" in missing.json()["detail"]


def test_operations_need_no_key(app: FastAPI) -> None:
    with TestClient(app) as stranger:
        for path in ("/livez", "/readyz", "/version", "/openapi.json", "/docs", "/"):
            assert stranger.get(path).status_code == 200, path
        assert stranger.get("/v1/models").status_code == 401


def test_every_answer_has_safe_headers_and_a_request_id(client: TestClient) -> None:
    for reply in (client.get("/livez"), client.get("/nowhere"), client.post("/v1/score", content=b"{")):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert len(reply.headers["x-request-id"]) == 32
    assert client.get("/livez", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert client.get("/livez", headers={"x-request-id": "two words"}).headers["x-request-id"] != "two words"


def test_the_description_documents_what_happens(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()
    operation = schema["paths"]["/v1/score"]["post"]
    assert {"200", "400", "401", "403", "404", "413", "415", "422", "429", "503", "504"} <= set(operation["responses"])
    assert set(operation["requestBody"]["content"]) == {"application/json", "multipart/form-data"}
    assert operation["security"] == [{"bearer": []}, {"header": []}]
    assert "ProblemBody" in schema["components"]["schemas"]
