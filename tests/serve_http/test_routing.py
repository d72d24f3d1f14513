"""Routes on a plugin class: which handler answers, with what, and what cannot be declared."""

from __future__ import annotations

from types import FunctionType
from typing import Any
from uuid import UUID

import pytest

from mm_plugin.exceptions import HookRegistrationError
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from mm_plugin.serve_http.routing import RouteTable, collect_routes, route
from tests.serve_http.plugins import browsing


class Items(Plugin):
    """Routes of every kind."""

    max_body_octets = 10

    @route("GET", "/items/{id}")
    async def item(self, request: Request, response: Response, id: str) -> None:  # noqa: A002
        await response.text(f"item {id}")

    @route("GET", "/items/new")
    async def new(self, request: Request, response: Response) -> None:
        await response.text("new")

    @route("PUT", "/items/{id}/parts/{part}")
    @route("POST", "/items/{id}/parts/{part}")
    async def part(self, request: Request, response: Response, part: str, id: str) -> None:  # noqa: A002
        await response.text(f"{request.method} {id} {part} {(await request.read()).decode()}")

    @route("GET", "/files/{name:path}")
    def file(self, request: Request, response: Response, name: str) -> None:
        response.sync.text(f"file {name}")

    @route("POST", "/big", max_body_octets=100)
    async def big(self, request: Request, response: Response) -> None:
        await response.text(str(len(await request.read())))

    @route("GET", "/caf\u00e9 au lait")
    async def cafe(self, request: Request, response: Response) -> None:
        await response.text("cup")


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/items/7", 200, "item 7"),
        ("GET", "/items/a%2Fb%20c", 200, "item a/b c"),
        ("GET", "/items/new", 200, "new"),
        ("GET", "/items/new?x=1", 200, "new"),
        ("PUT", "/items/1/parts/2", 200, "PUT 1 2 "),
        ("POST", "/items/1/parts/2", 200, "POST 1 2 "),
        ("GET", "/files/a/b.txt", 200, "file a/b.txt"),
        ("GET", "/files/", 200, "file "),
        ("HEAD", "/items/7", 200, ""),
        ("GET", "/caf%C3%A9%20au%20lait", 200, "cup"),
        ("GET", "/items/", 404, "Not Found\n"),
        ("GET", "/items/7/", 404, "Not Found\n"),
        ("GET", "/", 404, "Not Found\n"),
        ("DELETE", "/items/7", 405, "Method Not Allowed\n"),
    ],
)
async def test_a_request_finds_its_route(method: str, path: str, status: int, text: str) -> None:
    """By method and path, literal segments first; parameters are decoded once."""
    async with browsing(Items()) as client:
        answer = await client.request(method, path)
        assert (answer.status_code, answer.text) == (status, text)
        assert answer.headers.get("allow") == ("GET, HEAD" if status == 405 else None)


async def test_a_route_has_its_own_limit() -> None:
    """The route's wins over the plugin's, and both answer 413."""
    async with browsing(Items()) as client:
        assert (await client.post("/big", content=b"x" * 101)).status_code == 413
        assert (await client.put("/items/1/parts/2", content=b"x" * 11)).status_code == 413
        assert (await client.put("/items/1/parts/2", content=b"x" * 10)).text.endswith("x" * 10)


async def test_a_routes_limit_may_be_larger_than_the_plugins() -> None:
    """What one route takes, the rest of the plugin need not."""
    async with browsing(Items()) as client:
        assert (await client.post("/big", content=b"x" * 100)).text == "100"


class More(Items):
    """A subclass that overrides, gives up and falls back."""

    new = None  # type: ignore[assignment]

    async def item(self, request: Request, response: Response, id: str) -> None:  # noqa: A002
        await response.text(f"other {id}")

    def serve_http(self, request: Request, response: Response) -> None:
        response.sync.text(f"fallback {request.path}")


async def test_routes_are_inherited_and_the_rest_falls_back() -> None:
    """An override keeps its parent's route; what no route matches is serve_http's, blocking or not."""
    async with browsing(More()) as client:
        assert (await client.get("/items/new")).text == "other new"
        assert (await client.get("/elsewhere")).text == "fallback /elsewhere"
        assert (await client.delete("/items/7")).text == "fallback /items/7"


def test_a_class_with_routes_serves_http() -> None:
    """The host learns it from the list of hooks, and a class without has none."""
    assert Items.implemented_hooks() == More.implemented_hooks() == ["ServeHTTP"]

    class Plain(Plugin): ...

    assert Plain.implemented_hooks() == []


async def handler(self: Any, request: Request, response: Response) -> None: ...


async def handler_of_id(self: Any, request: Request, response: Response, id: str) -> None: ...  # noqa: A002


@pytest.mark.parametrize(
    ("method", "pattern", "function", "text"),
    [
        ("get", "/x", handler, "must be in capitals"),
        ("GET", "x", handler, "must begin with '/'"),
        ("GET", "/x{id}", handler, "a parameter is a whole segment"),
        ("GET", "/{id:path}/x", handler_of_id, "can only stand at the end"),
        ("GET", "/{id}/{id}", handler_of_id, "stands there twice"),
        ("GET", "/{name}", handler_of_id, r"expected: def a\(self, request, response, name\)"),
    ],
)
def test_a_wrong_route_fails_at_the_class_statement(method: str, pattern: str, function: Any, text: str) -> None:
    """The error names class, method and route."""
    own = FunctionType(function.__code__, function.__globals__)  # each mark on a function of its own
    with pytest.raises(HookRegistrationError, match=text):
        type("Wrong", (Plugin,), {"a": route(method, pattern)(own)})


def test_two_handlers_of_one_route_are_refused() -> None:
    """Parameters of other names do not make another route."""
    with pytest.raises(HookRegistrationError, match="has two handlers, one and two"):

        class Wrong(Plugin):
            @route("GET", "/{a}")
            async def one(self, request: Request, response: Response, a: str) -> None: ...

            @route("GET", "/{b}")
            async def two(self, request: Request, response: Response, b: str) -> None: ...


class Typed(Plugin):
    """Parameters annotated as what they are."""

    @route("GET", "/number/{n}")
    async def number(self, request: Request, response: Response, n: int) -> None:
        await response.text(repr(n))

    @route("GET", "/ratio/{x}")
    async def ratio(self, request: Request, response: Response, x: float) -> None:
        await response.text(repr(x))

    @route("GET", "/thing/{key}")
    def thing(self, request: Request, response: Response, key: UUID) -> None:
        response.sync.text(repr(key))

    @route("GET", "/any/{a}/{b}/{c:path}")
    async def anything(self, request: Request, response: Response, a, b: Any, **rest: str) -> None:  # type: ignore[no-untyped-def]
        await response.text(repr((a, b, rest)))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/number/7", "7"),
        ("/number/-07", "-7"),
        ("/number/" + "9" * 18, "9" * 18),
        ("/ratio/1", "1.0"),
        ("/ratio/-2.50", "-2.5"),
        ("/thing/0123ABCD-0123-0123-0123-0123456789ab", "UUID('0123abcd-0123-0123-0123-0123456789ab')"),
        ("/any/%31/2/x/y", "('1', '2', {'c': 'x/y'})"),
        *((path, None) for path in ("/number/seven", "/number/7.0", "/number/" + "9" * 5_000, "/number/1_0")),
        *((path, None) for path in ("/ratio/nan", "/ratio/1e5", "/ratio/.5", "/thing/1", "/thing/" + "0" * 32)),
    ],
)
async def test_parameters_are_converted_as_annotated(path: str, text: str | None) -> None:
    """The handler gets what it asked for; what is none is no page of the plugin, for any method."""
    async with browsing(Typed()) as client:
        answer = await client.get(path)
        assert (answer.status_code, answer.text) == (404 if text is None else 200, text or "Not Found\n")
        assert (await client.delete(path)).status_code == (404 if text is None else 405)


@pytest.mark.parametrize("annotation", [list, "PostID", bytes, int | None, "int | None"])
def test_an_annotation_that_no_path_can_be_is_refused(annotation: object) -> None:
    """At the class statement, with the way out."""

    async def item(self: Any, request: Request, response: Response, id: object) -> None: ...  # noqa: A002

    item.__annotations__["id"] = annotation
    with pytest.raises(HookRegistrationError, match="a parameter is a str, int, float or UUID"):
        type("Wrong", (Plugin,), {"item": route("GET", "/{id}")(item)})
    item.__annotations__["id"] = int
    with pytest.raises(HookRegistrationError, match="annotate it as str"):
        type("Wrong", (Plugin,), {"item": route("GET", "/x/{id:path}")(item)})


def test_annotations_may_be_types_or_text() -> None:
    """Whether a module postpones its annotations makes no difference."""
    for annotation in (int, "int"):

        async def item(self: Any, request: Request, response: Response, id: object) -> None: ...  # noqa: A002

        item.__annotations__["id"] = annotation
        plugin = type("Right", (Plugin,), {"item": route("GET", "/{id}")(item)})
        (one,) = collect_routes(plugin)
        assert RouteTable([one]).find("GET", "/5") == (one, {"id": 5})
