"""What goes into Serve's own proxies: a refusal there costs a fifth of one that goes through Ray to the ingress.

Proxies take it from the environment of the node that they run on:
`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=actors.serve_proxy:middlewares`.
"""

from starlette.middleware import Middleware

from actors.serving.metrics import RefusalMetrics
from ray_iqa.http.middleware.load_shedding import Doorkeeper


def middlewares() -> list[Middleware]:
    """Of one proxy, the outermost one last."""
    return [Middleware(Doorkeeper), Middleware(RefusalMetrics)]
