"""The page at /docs: Swagger UI out of this package, so that it opens without a network."""

from __future__ import annotations

from html import escape
from importlib.resources import files

from fastapi import FastAPI
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from tallybook.kernel.refusal import Refusal, Refused

_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
_START = """\
window.onload = function () {
  window.ui = SwaggerUIBundle({
    url: document.getElementById("swagger-ui").dataset.document,
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
  });
};
"""
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="data:,">
</head>
<body>
<div id="swagger-ui" data-document="openapi.json"></div>
<noscript>This page needs JavaScript. The document itself is <a href="openapi.json">here</a>.
</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Swagger UI writes style attributes; nothing else inline, and nothing from elsewhere."""


def add_docs_page(app: FastAPI, title: str) -> None:
    """Serve the page, its files, and the OpenAPI document that it shows."""

    async def page() -> Response:
        html = _PAGE.format(title=escape(title))
        return HTMLResponse(html, headers={"Content-Security-Policy": _POLICY})

    async def asset(name: str) -> Response:
        if name == "start.js":
            return Response(_START, media_type="text/javascript")
        if name not in _ASSETS:
            raise Refused(Refusal("not_found"))
        content = (files("tallybook.entrypoints") / "assets" / name).read_bytes()
        return Response(
            content,
            media_type=_ASSETS[name],
            headers={"Cache-Control": "public, max-age=86400"},
        )

    async def front() -> Response:
        return RedirectResponse("docs")

    def document() -> Response:
        # In a thread: the first one takes a second, which no other call should wait for.
        return JSONResponse(app.openapi())

    for path, endpoint in (
        ("/", front),
        ("/docs", page),
        ("/docs/{name}", asset),
        ("/openapi.json", document),
    ):
        app.add_api_route(path, endpoint, include_in_schema=False)
