"""What goes into Serve's own proxies: a refusal there costs a fifth of one that goes through Ray to the ingress.

Proxies take it from the environment of the node that they run on:
`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=actors.serve_proxy:middlewares`.
"""

import asyncio
from asyncio import Transport

from starlette.middleware import Middleware
from uvicorn.protocols.http import auto
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from actors.serving.metrics import RefusalMetrics
from ray_iqa.http.middleware.load_shedding import MAX_HEAD_BYTES, Doorkeeper

_PATIENCE_S = 20.0
_LINGER_S = 2.0


class _ReadToTheEnd:
    """A transport that closes only after the other side could read the last answer.

    Closing a socket on bytes that nobody read makes the kernel answer them with a reset, which may overtake an answer
    that is still on its way: a client that was refused in the middle of its body would see a lost connection instead of
    the reason. So this side ends first, and what still comes is dropped until the other side ends too, or for two
    seconds after the answer has left.

    Args:
        transport: of one connection; whatever is not about closing goes to it.
        loop: that it belongs to.
    """

    def __init__(self, transport: Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop, self._is_ending = transport, loop, False

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """See asyncio."""
        return self._is_ending or self._transport.is_closing()

    def close(self) -> None:
        """End this side."""
        if self.is_closing():
            return
        self._is_ending = True
        if self._transport.can_write_eof():  # not with TLS
            self._transport.write_eof()
        self._transport.resume_reading()
        self._loop.call_later(_LINGER_S, self._end)

    def _end(self) -> None:
        if self._transport.get_write_buffer_size():
            self._loop.call_later(_LINGER_S, self._end)
        else:
            self._transport.close()


class Connection(HttpToolsProtocol):
    """Ends whoever sends headers or trailers without end, or slowly, and whoever does not read an answer.

    uvicorn 0.54 bounds none of it: 60 MB of one header hold its event loop for seconds, 140 MB of headers take 2 GB.
    Its parser of pure Python does bound them; it takes any word for a method, each of which is a series of metrics.
    """

    _num_unparsed = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """The headers of the first request must come in time; a stranger has no second one."""
        super().connection_made(transport)
        self.transport = _ReadToTheEnd(transport, self.loop)  # type: ignore[assignment]
        self._deadline = self.loop.call_later(_PATIENCE_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless the last answer was given."""
        if self.transport.is_closing():
            return
        self._num_unparsed += len(data)
        super().data_received(data)
        if self._num_unparsed > MAX_HEAD_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._num_unparsed = 0

    def on_headers_complete(self) -> None:
        """All headers came."""
        self._deadline.cancel()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Part of a body came."""
        super().on_body(body)
        self._num_unparsed = 0

    def pause_writing(self) -> None:
        """The other side has not read what it was sent."""
        super().pause_writing()
        self._deadline = self.loop.call_later(_PATIENCE_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The other side has read."""
        self._deadline.cancel()
        super().resume_writing()


def middlewares() -> list[Middleware]:
    """Of one proxy, the outermost one last; how it speaks HTTP is replaced too, for which Serve has no setting."""
    auto.AutoHTTPProtocol = Connection
    return [Middleware(Doorkeeper), Middleware(RefusalMetrics)]
