"""The address of this server as its callers see it."""

from starlette.requests import Request


def address_of(request: Request) -> str:
    """Return the address under which the caller reaches this server, with a slash at its end."""
    base = request.base_url
    if request.app.state.services.settings.api_behind_proxy:
        scheme = request.headers.get("x-forwarded-proto", "")
        base = base.replace(scheme=scheme) if scheme in ("http", "https") else base
    return str(base).rstrip("/") + "/"
