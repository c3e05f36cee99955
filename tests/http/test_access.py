import os
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ray_iqa.config.serve import AccessConfig, LimitsConfig
from ray_iqa.errors import ConfigError
from ray_iqa.http.app import create_app
from ray_iqa.http.auth.keys import KeyRing, hash_of, new_key
from ray_iqa.http.auth.rate_limit import RateLimit
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


def _replace(path: Path, content: bytes | None) -> None:
    """None deletes a file, b"d" puts a folder in its place."""
    if content in (None, b"d"):
        path.unlink()
    if content == b"d":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)


@pytest.mark.parametrize("damage", [b"plain-text-key name\n", b"", b"\n# none\n", b"\xff\xfe", None, b"d"])
def test_a_file_without_keys_lets_nobody_in_and_starts_nothing(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "keys"
    key = new_key()
    path.write_text(f"{hash_of(key)} a\n")
    client = _client(AccessConfig(keys_file=str(path)))
    client.headers["X-API-Key"] = key
    assert client.get("/v1/models").status_code == 200
    assert client.get("/readyz").json() == {"status": "ok", "key_problems": []}
    _replace(path, damage)
    assert client.get("/v1/models").status_code == 401
    problems = client.get("/readyz").json()["key_problems"]
    assert problems
    assert str(tmp_path) not in str(problems)
    with pytest.raises(ConfigError, match="at least one key"):
        KeyRing(path)


def test_a_bad_line_is_skipped_and_said_and_keeps_no_removed_key(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    first, second, third = new_key(), new_key(), new_key()
    path.write_text(f"{hash_of(first)} first\n{hash_of(second)} second\n")
    client = _client(AccessConfig(keys_file=str(path)))
    lines = [f"{hash_of(second)} second", "team-c", f"{hash_of(third)} two words", f"{hash_of(second)} first", "\xff"]
    path.write_bytes("\n".join(lines).encode("latin-1"))
    statuses = [client.get("/v1/models", headers={"X-API-Key": key}).status_code for key in (first, second, third)]
    assert statuses == [401, 200, 401]
    problems = client.get("/readyz").json()["key_problems"]
    assert [problem.split(" ")[1] for problem in problems] == ["2", "3", "4", "5"]
    metrics = client.get("/metrics", headers={"X-API-Key": second}).text
    assert "ray_iqa_http_key_problems 4.0" in metrics
    path.write_text(lines[0])
    assert "ray_iqa_http_key_problems 0.0" in client.get("/metrics", headers={"X-API-Key": second}).text


def test_a_change_that_leaves_size_inode_and_times_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    first, second = new_key(), new_key()
    path.write_text(f"{hash_of(first)} a\n")
    before = path.stat()
    ring = KeyRing(path)
    path.write_text(f"{hash_of(second)} a\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_ino == before.st_ino
    assert (ring.name_of(first), ring.name_of(second)) == (None, "a")


def test_a_file_from_another_system_and_one_behind_a_link_that_moves_are_read(tmp_path: Path) -> None:
    first, second = new_key(), new_key()
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "old" / "keys").write_bytes(f"\ufeff{hash_of(first)} a\r\n{hash_of(second)} b\r\n".encode())
    (tmp_path / "new" / "keys").write_text(f"{hash_of(second)} b\n")
    (tmp_path / "now").symlink_to("old")
    ring = KeyRing(tmp_path / "now" / "keys")
    assert (ring.name_of(first), ring.name_of(second), ring.problems) == ("a", "b", [])
    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").replace(tmp_path / "now")  # as a mounted secret changes
    assert (ring.name_of(first), ring.name_of(second)) == (None, "b")


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
