import os
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ray_iqa.config.serve import AccessConfig, LimitsConfig
from ray_iqa.errors import ConfigError
from ray_iqa.http.app import create_app
from ray_iqa.http.keys import KeyRing, hash_of, new_key
from ray_iqa.http.rate_limit import RateLimit
from ray_iqa.http.settings import Settings


def _client(access: AccessConfig, peer: str = "127.0.0.1", url: str = "http://localhost:8000") -> TestClient:
    return TestClient(create_app({}, access, Settings(LimitsConfig())), base_url=url, client=(peer, 50_000))


def test_a_key_is_accepted_in_both_headers_and_nothing_else(tmp_path: Path) -> None:
    key = new_key()
    (tmp_path / "keys").write_text(f"{hash_of(key)} team-a\n")
    client = _client(AccessConfig(keys_file=str(tmp_path / "keys")), peer="203.0.113.9", url="http://example.org")
    for headers in ({"Authorization": f"Bearer {key}"}, {"authorization": f"bearer {key}"}, {"X-API-Key": key}):
        assert client.get("/v1/models", headers=headers).status_code == 200, headers
    wrong = [
        {},
        {"Authorization": key},
        {"Authorization": f"Basic {key}"},
        {"X-API-Key": key[:-1]},
        {"X-API-Key": hash_of(key)},
    ]
    for headers in wrong:
        reply = client.get("/v1/models", headers=headers)
        assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer"), headers
        assert reply.headers["content-type"] == "application/problem+json"


def test_the_file_holds_no_key_and_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    first, second = new_key(), new_key()
    path.write_text(f"{hash_of(first)} first\n")
    ring = KeyRing(path)
    assert (ring.name_of(first), ring.name_of(second)) == ("first", None)
    path.write_text(f"{hash_of(second)} second\n# a comment\n")
    assert (ring.name_of(first), ring.name_of(second)) == (None, "second")
    assert first not in path.read_text() + hash_of(first)


@pytest.mark.parametrize("damage", ["plain-text-key name\n", "", "\xff", None])
def test_a_damaged_file_keeps_the_old_keys_but_starts_nothing(tmp_path: Path, damage: str | None) -> None:
    path = tmp_path / "keys"
    key = new_key()
    path.write_text(f"{hash_of(key)} a\n")
    ring = KeyRing(path)
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage.encode("latin-1"))
        os.utime(path, (time.time() + 5, time.time() + 5))
    assert ring.name_of(key) == "a"
    with pytest.raises(ConfigError, match="key"):
        KeyRing(path)


def test_without_keys_only_this_machine_is_answered() -> None:
    access = AccessConfig(no_auth=True)
    for url in ("http://localhost:8000", "http://127.0.0.1:8000", "http://[::1]:8000"):
        assert _client(access, url=url).get("/v1/models").status_code == 200, url
    assert _client(access, peer="::1").get("/v1/models").status_code == 200
    for peer, url in (("192.0.2.7", "http://localhost:8000"), ("127.0.0.1", "http://rebound.example:8000")):
        reply = _client(access, peer, url).get("/v1/models")
        assert (reply.status_code, reply.json()["type"]) == (403, "urn:ray-iqa:problem:loopback-only")
    foreign = _client(access).get("/v1/models", headers={"origin": "http://evil.example"})
    assert foreign.status_code == 403
    assert _client(access).get("/v1/models", headers={"origin": "http://localhost:8000"}).status_code == 200


def test_exactly_one_kind_of_access_must_be_chosen() -> None:
    for chosen in ({}, {"no_auth": True, "keys_file": "keys"}):
        with pytest.raises(ValueError, match="exactly one must be given"):
            AccessConfig.model_validate(chosen)


def test_a_bucket_empties_and_refills_per_key() -> None:
    now = 0.0
    limit = RateLimit(per_second=2.0, burst=3, clock=lambda: now)
    assert [limit.wait_s("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert limit.wait_s("b") == 0
    now = 0.25
    assert limit.wait_s("a") == pytest.approx(0.25)
    now = 0.5
    assert limit.wait_s("a") == 0
    now = 1000.0
    assert [limit.wait_s("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_too_many_requests_are_told_when_to_come_back() -> None:
    client = _client(AccessConfig(no_auth=True, requests_per_second=0.2, burst=2))
    replies = [client.get("/v1/models") for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[2].headers["retry-after"] == "5"
    assert client.get("/livez").status_code == 200
