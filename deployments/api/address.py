"""The address of an application as its caller sees it."""

from starlette.requests import Request


def address_of(request: Request) -> str:
    """Return the address under which the caller reaches the application that answers him, with a slash at its end."""
    base = request.base_url.replace(path=request.scope["root_path"])
    if request.app.state.services.settings.api_behind_proxy:
        scheme = request.headers.get("x-forwarded-proto", "")
        base = base.replace(scheme=scheme) if scheme in ("http", "https") else base
    return str(base).rstrip("/") + "/"
