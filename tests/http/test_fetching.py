"""URLs of strangers, against a TLS server on this machine, a resolver that lies and redirects that lead inside."""

import asyncio
import datetime
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ray_iqa.config.serve import LimitsConfig
from ray_iqa.http.fetch import Fetcher
from ray_iqa.http.problems import Problem

HOST, OTHER = "images.example.org", "files.cdn.example.net"
PUBLIC = "93.184.216.34"
LIMITS = LimitsConfig(fetch_hosts=(HOST, "*.cdn.example.net"), fetch_timeout_s=2.0, max_image_bytes=100_000)

URLS = [
    f"http://{HOST}/a.png",
    f"ftp://{HOST}/a.png",
    f"https://{HOST}:8443/a.png",
    f"https://{HOST}:22/",
    f"https://user:secret@{HOST}/a.png",
    f"https://{HOST}@127.0.0.1/",
    f"https://127.0.0.1#@{HOST}/",
    f"https://127.0.0.1\\@{HOST}/",
    "https://127.0.0.1/",
    "https://localhost/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://metadata.google.internal/",
    f"https://{HOST}.evil.example/",
    f"https://evil{HOST}/",
    "https://cdn.example.net/",
    "https://evilcdn.example.net/",
    f"https://{HOST}/a b",
    f"https://{HOST}/a\r\nHost: 127.0.0.1",
    f"https://{HOST}/\u202e",
    "https://\u2460\u2461\u2466.0.0.1/",
    "https://[::1",
    "https://",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
]
ADDRESSES = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:93.184.216.34",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "fc00::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
]


class Loopback(httpcore.AsyncNetworkBackend):
    """The network of the test: the one public address leads to the server of the test, nothing else anywhere."""

    def __init__(self, port: int) -> None:
        self.connected: list[tuple[str, int]] = []
        self._port, self._real = port, httpcore.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, *rest: Any, **more: Any) -> httpcore.AsyncNetworkStream:  # noqa: ANN401, ARG002 - httpcore's interface
        self.connected.append((host, port))
        assert (host, port) == (PUBLIC, 443), "connected to an address that was not checked"
        return await self._real.connect_tcp("127.0.0.1", self._port)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "pem"
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(secret + built.public_bytes(pem))
    return path


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """/ok is a file, /to/URL a redirect, /endless and /slow never end, anything else is missing."""
    path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
    try:
        if path == "/ok":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        elif path.startswith("/to/"):
            location = unquote(path.removeprefix("/to/")).encode("utf-8", "surrogatepass")
            writer.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")
        elif path == "/endless":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
        elif path == "/slow":
            await asyncio.sleep(30)
        else:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


Resolve = Callable[[str], Awaitable[list[str]]]


async def _public(_: str) -> list[str]:
    return [PUBLIC]


def _run(certificate: Path, resolve: Resolve, body: Callable[[Fetcher, Loopback], Coroutine[Any, Any, None]]) -> None:
    @asynccontextmanager
    async def server() -> AsyncIterator[int]:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        started = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=tls)
        yield started.sockets[0].getsockname()[1]
        started.close()

    async def main() -> None:
        async with server() as port:
            network = Loopback(port)
            trust = ssl.create_default_context(cafile=str(certificate))
            await body(Fetcher(resolve, network, trust), network)

    asyncio.run(main())


async def _refusal(fetcher: Fetcher, url: str) -> Problem:
    with pytest.raises(Problem) as refused:
        await fetcher.fetch(url, LIMITS, "/images/0")
    assert refused.value.pointer == "/images/0"
    return refused.value


def test_an_allowed_host_is_fetched_from_its_checked_address(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # a proxy would connect where it likes

    async def body(fetcher: Fetcher, network: Loopback) -> None:
        assert await fetcher.fetch(f"https://{HOST}/ok", LIMITS, "") == b"hello"
        assert await fetcher.fetch(f"https://{HOST}/to//ok", LIMITS, "") == b"hello"
        assert network.connected[0] == (PUBLIC, 443)

    _run(certificate, _public, body)


def test_hostile_urls_and_redirects_to_them_are_refused(certificate: Path) -> None:
    async def body(fetcher: Fetcher, network: Loopback) -> None:
        for url in URLS:
            problem = await _refusal(fetcher, url)
            assert (problem.status, problem.name) == (403, "url-not-allowed"), url
        assert network.connected == []
        redirects = [url for url in URLS if url != "https://"]  # as a redirect it leads back to the host
        for number, url in enumerate(redirects, start=1):
            if url == f"https://{HOST}/a\r\nHost: 127.0.0.1":
                url = "https://127.0.0.1/"  # a header ends at a line break
            problem = await _refusal(fetcher, f"https://{HOST}/to/{quote(url, safe='')}")
            assert (problem.status, problem.name) == (403, "url-not-allowed"), url
            assert len(network.connected) == number, url

    _run(certificate, _public, body)


def test_names_with_an_address_that_is_not_public_are_refused(certificate: Path) -> None:
    for addresses in [*([each] for each in ADDRESSES), [PUBLIC, "10.0.0.1"], []]:

        async def lying(_: str, found: list[str] = addresses) -> list[str]:
            return found

        async def body(fetcher: Fetcher, network: Loopback) -> None:
            problem = await _refusal(fetcher, f"https://{HOST}/ok")
            assert (problem.name, network.connected) == ("url-not-allowed", []), addresses  # noqa: B023 - run at once

        _run(certificate, lying, body)


def test_a_name_that_changes_its_address_gains_nothing(certificate: Path) -> None:
    answers = [[PUBLIC], ["127.0.0.1"]]

    async def rebinding(_: str) -> list[str]:
        return answers.pop(0)

    async def body(fetcher: Fetcher, network: Loopback) -> None:
        problem = await _refusal(fetcher, f"https://{HOST}/to/{quote(f'https://{OTHER}/ok', safe='')}")
        assert problem.name == "url-not-allowed"
        assert network.connected == [(PUBLIC, 443)]

    _run(certificate, rebinding, body)


def test_what_does_not_end_well_ends_soon(certificate: Path) -> None:
    async def unknown(_: str) -> list[str]:
        raise OSError("no such name")

    async def body(fetcher: Fetcher, network: Loopback) -> None:
        began = time.monotonic()
        around = f"https://{HOST}/to/{quote(f'https://{HOST}/to//to//to//to//to//ok', safe='')}"
        for url, status in (
            (f"https://{HOST}/endless", 413),
            (f"https://{HOST}/slow", 422),
            (f"https://{HOST}/missing", 422),
            (around, 422),
            (f"https://{OTHER}/ok", 422),  # the certificate is another host's
        ):
            problem = await _refusal(fetcher, url)
            assert (problem.status, problem.name) == (status, "image-too-large" if status == 413 else "cannot-fetch")
        assert time.monotonic() - began < 30
        problem = await _refusal(Fetcher(unknown, network), f"https://{HOST}/ok")
        assert problem.name == "cannot-fetch"

    _run(certificate, _public, body)
