"""Guards every request and response: hosts, https, size, headers."""

from __future__ import annotations

import hashlib
import os
import resource
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, request
from werkzeug.exceptions import Forbidden, MethodNotAllowed
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Config

from . import current, proxies
from .happenings import Kind, happened
from .health import Health
from .networks import lies_in

MAX_BODY_BYTES = 16 * 1024
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
CSP_REPORT_PATH = "/csp-report"
HEADERS = {
    "Content-Security-Policy": CSP,
    # The same policy again with the address for reports, which the enforced one lacks.
    "Content-Security-Policy-Report-Only": f"{CSP}; report-uri {CSP_REPORT_PATH}",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
    ),
}
FOREVER = "public, max-age=31536000, immutable"
HSTS = "max-age=63072000; includeSubDomains"
Wsgi = Callable[[dict[str, Any], Any], Iterable[bytes]]
# Endpoints that are no pages: a proxy asks for two, and error pages need the other.
NO_PAGES = frozenset({"static", "security.health", "security.live"})
HEALTH_PATH, LIVE_PATH = "/healthz", "/livez"


class ForeignNetwork(Forbidden):
    """The request comes from outside ALLOWED_NETWORKS."""


class UnknownVisitor(Forbidden):
    """PROXY_HOPS doesn't fit the proxies in front, so the visitor's address is
    unknown."""


class LostPort(Forbidden):
    """The proxy hands on Host without the port that visitors use, so each form looks
    like another site's."""


class PlainHttp(Forbidden):
    """The visitor came by plain http."""


class _Probes:
    """Lets a load balancer ask after the health by whatever name or address it has, or
    by none as HTTP/1.0 does: its Host is replaced by one that is trusted."""

    def __init__(self, wsgi_app: Wsgi, host: str) -> None:
        self._wsgi_app = wsgi_app
        self._host = host

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Pass the request on."""
        probe = environ.get("PATH_INFO") in (HEALTH_PATH, LIVE_PATH)
        if probe and environ.get("REQUEST_METHOD") in ("GET", "HEAD"):
            environ["HTTP_HOST"] = self._host
        return self._wsgi_app(environ, start_response)


def init_app(app: Flask) -> None:
    """Set the limits, guard each request and finish each response."""
    settings: Config = app.extensions["settings"]
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SECRET_KEY_FALLBACKS=list(settings.secret_key_fallbacks),
        TRUSTED_HOSTS=list(settings.trusted_hosts),
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_BODY_BYTES,
        MAX_FORM_PARTS=50,
    )
    if settings.proxy_hops:
        # The proxy next to the site says whether the visitor used https; most proxies
        # send one value for that, however many are in front of them.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.proxy_hops, x_proto=1, x_host=0, x_port=0
        )
    trusted = settings.trusted_hosts[0].removeprefix(".")
    app.wsgi_app = _Probes(app.wsgi_app, trusted)  # type: ignore[method-assign]
    # An address with doubled slashes is not redirected; it is not found.
    app.url_map.merge_slashes = False
    # Built once at the start, so that no request can make the site open another file.
    app.extensions["static_versions"] = _versions(Path(app.static_folder or ""))
    app.extensions["proxy_alarm"] = proxies.Alarm()
    app.extensions["health"] = Health(
        app.extensions["site_engine"], app.extensions["vault"]
    )
    os.umask(0o077)
    # A core file would hold a number that an operator just typed (PAN-05).
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    app.before_request(_refuse_nameless)
    app.before_request(_refuse_unknown_visitors)
    app.before_request(_refuse_foreign_networks)
    app.before_request(_refuse_options)
    app.before_request(_refuse_unknown_files)
    app.before_request(_refuse_plain_http)
    app.before_request(_refuse_cross_site)
    app.after_request(_finish)
    app.context_processor(_for_templates)
    app.add_url_rule(HEALTH_PATH, "security.health", _health)
    app.add_url_rule(LIVE_PATH, "security.live", _live)


def _refuse_nameless() -> None:
    """Refuse a request without a Host header, which would count as one to the bound
    address."""
    if "HTTP_HOST" not in request.environ:
        happened(Kind.REFUSED_HOST, origin=_origin())
        abort(400)


def _refuse_unknown_visitors() -> None:
    """Refuse requests where PROXY_HOPS is wrong: every visitor would have the proxy's
    address, and one who guesses passwords would block all others (AUT-06)."""
    settings = current.settings()
    if settings.allow_insecure_loopback or request.endpoint in NO_PAGES:
        return
    fault = proxies.fault(request.headers, settings.proxy_hops)
    if fault:
        happened(Kind.REFUSED_PROXY_HOPS, origin=_origin())
        _tell(fault, proxies.NEXT)
        raise UnknownVisitor


def _refuse_foreign_networks() -> None:
    networks = current.settings().allowed_networks
    if not networks or request.endpoint in NO_PAGES:
        return
    if not lies_in(_origin(), networks):
        happened(Kind.REFUSED_NETWORK, origin=_origin())
        raise ForeignNetwork


def _refuse_options() -> None:
    """Refuse OPTIONS, which Flask would answer and no page of ours needs (WEB-03)."""
    if request.method == "OPTIONS" and request.url_rule is not None:
        raise MethodNotAllowed(
            sorted((request.url_rule.methods or set()) - {"OPTIONS"})
        )


def _refuse_unknown_files() -> None:
    """Refuse a static file that did not exist at the start: its name is looked up in a
    table and never joined with a folder (WEB-07)."""
    if request.endpoint == "static" and not _version(_static_name()):
        abort(404)


def _refuse_plain_http() -> None:
    settings = current.settings()
    if request.is_secure or request.endpoint in NO_PAGES:
        return
    if not settings.allow_insecure_loopback:
        happened(Kind.REFUSED_SCHEME, origin=_origin())
        _tell("a request came by plain http", proxies.NEXT_PLAIN_HTTP)
        raise PlainHttp


def _refuse_cross_site() -> None:
    """Refuse a form sent by another site's page, whatever token it has (WEB-02)."""
    if request.method not in ("GET", "HEAD", "OPTIONS") and _comes_from_elsewhere():
        happened(Kind.REFUSED_OTHER_SITE, origin=_origin())
        abort(403)


def _comes_from_elsewhere() -> bool:
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in (
        "same-origin",
        "none",
    ):
        return True
    origin = request.headers.get("Origin")
    if origin is not None and _place_of(origin) != request.host:
        if _has_other_port(origin):
            _tell("a form's Origin has another port than Host", proxies.NEXT_PORT)
            happened(Kind.REFUSED_OTHER_SITE, origin=_origin())
            raise LostPort
        return True
    # The check of the form's token reads it next and fails on what is no address.
    return _place_of(request.headers.get("Referer", "")) is None


def _origin() -> str:
    return request.remote_addr or ""


def _place_of(address: str) -> str | None:
    """The host and port in an address; None when it is no address."""
    try:
        parts = urlsplit(address)
        # Reading the port raises ValueError when it is wrong.
        _ = parts.port
    except ValueError:
        return None
    return parts.netloc


def _has_other_port(origin: str) -> bool:
    """Say whether an origin differs from this site's by its port alone."""
    place = _place_of(origin) or ""
    return place.partition(":")[0] == request.host.partition(":")[0]


def tell_unknown_host() -> None:
    """Log that a request asked for a host that is none of the site's."""
    happened(Kind.REFUSED_HOST, origin=_origin())
    _tell("a request's Host is not in TRUSTED_HOSTS", proxies.NEXT_HOST)


def _tell(fault: str, mend: str) -> None:
    current_app.extensions["proxy_alarm"].tell(fault, mend)


def _finish(response: Response) -> Response:
    response.headers.update(HEADERS)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = HSTS
    response.headers["Cache-Control"] = FOREVER if _is_hashed_static() else "no-store"
    return response


def _is_hashed_static() -> bool:
    version = request.args.get("v")
    return (
        request.endpoint == "static"
        and bool(version)
        and version == _version(_static_name())
    )


def _static_name() -> str:
    return str((request.view_args or {}).get("filename", ""))


def _versions(folder: Path) -> dict[str, str]:
    """A hash of each static file's content, by its name in addresses."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()[:16]
        for path in folder.rglob("*")
        if path.is_file()
    }


def _version(name: str) -> str:
    """The hash of a static file's content, or "" when there is none."""
    versions: dict[str, str] = current_app.extensions["static_versions"]
    return versions.get(name, "")


def asset(name: str) -> str:
    """The address of a static file, which changes whenever its content does."""
    # url_for fails where the host is refused, and that error page needs the files too.
    return f"{current_app.static_url_path}/{name}?v={_version(name)}"


def _for_templates() -> dict[str, Any]:
    return {"settings": current.settings(), "asset": asset}


def _health() -> tuple[str, int]:
    """Answer 200 when both databases answer and take writing and the web key is this
    vault's, else 503, without details."""
    health: Health = current_app.extensions["health"]
    return ("unavailable\n", 503) if health.fault() else ("ok\n", 200)


def _live() -> str:
    """Answer that this process is there; nothing is asked."""
    return "ok\n"
