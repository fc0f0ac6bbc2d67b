"""What guards every request and response: hosts, https, size, headers."""

from __future__ import annotations

import hashlib
import os
import resource
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, request
from werkzeug.exceptions import Forbidden, MethodNotAllowed
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Config

from .db import site_answers
from .networks import lies_in

MAX_BODY_BYTES = 16 * 1024
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
CSP_REPORT_PATH = "/csp-report"
HEADERS = {
    "Content-Security-Policy": CSP,
    # The same once more: the enforced one is a fixed text that names no address.
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
# What is no page: a proxy asks for one of them, every error page for the other.
NO_PAGES = frozenset({"static", "security.health"})


class ForeignNetwork(Forbidden):
    """The request comes from outside ALLOWED_NETWORKS."""


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
        hops = settings.proxy_hops
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=0, x_port=0
        )
    # An address is there or it isn't; two slashes lead nowhere else.
    app.url_map.merge_slashes = False
    app.extensions["static_versions"] = {}
    os.umask(0o077)
    # A core file would hold what an operator just typed (PAN-05).
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    app.before_request(_refuse_nameless)
    app.before_request(_refuse_foreign_networks)
    app.before_request(_refuse_options)
    app.before_request(_refuse_plain_http)
    app.before_request(_refuse_cross_site)
    app.after_request(_finish)
    app.context_processor(_for_templates)
    app.add_url_rule("/healthz", "security.health", _health)


def _refuse_nameless() -> None:
    """A request without a Host would be taken for one to the bound address."""
    if "HTTP_HOST" not in request.environ:
        abort(400)


def _refuse_foreign_networks() -> None:
    networks = current_app.extensions["settings"].allowed_networks
    if not networks or request.endpoint in NO_PAGES:
        return
    if not lies_in(request.remote_addr or "", networks):
        raise ForeignNetwork


def _refuse_options() -> None:
    """Flask answers OPTIONS by itself; no page of ours needs it (WEB-03)."""
    if request.method == "OPTIONS" and request.url_rule is not None:
        raise MethodNotAllowed(
            sorted((request.url_rule.methods or set()) - {"OPTIONS"})
        )


def _refuse_plain_http() -> None:
    settings: Config = current_app.extensions["settings"]
    if request.is_secure or request.endpoint in NO_PAGES:
        return
    if not settings.allow_insecure_loopback:
        abort(403)


def _refuse_cross_site() -> None:
    """A form sent by another site's page, whatever token it carries (WEB-02)."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in (
        "same-origin",
        "none",
    ):
        abort(403)
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        abort(403)


def _finish(response: Response) -> Response:
    response.headers.update(HEADERS)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = HSTS
    response.headers["Cache-Control"] = FOREVER if _is_hashed_static() else "no-store"
    return response


def _is_hashed_static() -> bool:
    name = (request.view_args or {}).get("filename", "")
    version = request.args.get("v")
    return request.endpoint == "static" and bool(version) and version == _version(name)


def _version(name: str) -> str:
    """A hash of a static file's content, or "" when there is none."""
    folder = Path(current_app.static_folder or "")
    versions: dict[str, str] = current_app.extensions["static_versions"]
    if name not in versions and (folder / name).is_file():
        versions[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()[:16]
    return versions.get(name, "")


def asset(name: str) -> str:
    """The address of a static file, which changes whenever its content does."""
    # Not url_for: it fails where the host is refused, and that page has a look too.
    return f"{current_app.static_url_path}/{name}?v={_version(name)}"


def _for_templates() -> dict[str, Any]:
    return {"settings": current_app.extensions["settings"], "asset": asset}


def _health() -> tuple[str, int]:
    """200 when both databases answer and the web key is this vault's; no detail."""
    if current_app.extensions["vault"].is_well() and site_answers():
        return "ok\n", 200
    return "unavailable\n", 503
