"""The page and its small interface, for a browser on this machine.

Nothing that is sent names a system: sounds are asked for by trial and place.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from audiodec.errors import ConfigError
from audiodec.evaluation.listening.answers import Answers, Progress
from audiodec.evaluation.listening.definition import Test, load_test

PAGE = Path(__file__).parent / "page"
MAX_BODY = 4096  # bytes
MAX_NAME = 40  # characters
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def serve(
    folder: Path, host: str, port: int, started: Callable[[str], None] = lambda url: None
) -> None:
    """Serve a test until interrupted.

    Args:
        port: 0 takes a free one.
        started: told the address once it can be opened.

    Raises:
        ConfigError: there is no test, or the address cannot be used.
    """
    app = application(load_test(folder), folder)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError(f"cannot serve at {host}, port {port}: {error.strerror}") from None
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ws="none",
        limit_concurrency=200, timeout_keep_alive=10,
    )  # fmt: skip
    with listener:
        started(f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/")
        uvicorn.Server(config).run(sockets=[listener])


def application(test: Test, folder: Path) -> Starlette:
    """Build the web application of a test in a folder. Raises ConfigError like `Answers`."""
    answers = Answers(test, folder)

    def about(request: Request) -> Response:
        return JSONResponse({"title": test.title, "method": test.method})

    def state(request: Request) -> Response:
        return JSONResponse(_state(test, _progress(answers, request)))

    def sound(request: Request) -> Response:
        trials = _progress(answers, request).trials
        number, place = (_index(request.path_params[key]) for key in ("trial", "place"))
        if number >= len(trials) or place >= len(trials[number].stimuli):
            raise HTTPException(404, "no such sound")
        trial = trials[number]
        # No FileResponse: its headers would tell which of A and B is X.
        data = (folder / trial.clip.files[trial.stimuli[place]]).read_bytes()
        return Response(data, media_type="audio/flac")

    async def register(request: Request) -> Response:
        name = (await _json(request)).get("name")
        name = " ".join(name.split()) if isinstance(name, str) else ""
        if not 0 < len(name) <= MAX_NAME or not name.isprintable():
            raise HTTPException(400, f"give a name of 1 to {MAX_NAME} characters")
        return JSONResponse({"token": await run_in_threadpool(answers.register, name)})

    async def answer(request: Request) -> Response:
        data = await _json(request)
        number, scores, done = data.get("trial"), data.get("scores"), data.get("done")
        if type(number) is not int or not isinstance(scores, list) or type(done) is not bool:
            raise HTTPException(400, "not an answer")
        given = {place: score for place, score in enumerate(scores) if score is not None}
        if any(type(score) is not int for score in given.values()):
            raise HTTPException(400, "scores are whole numbers")
        token = request.path_params["token"]
        progress = await run_in_threadpool(answers.store, token, number, given, done)
        return JSONResponse(_state(test, progress))

    routes = [
        Route("/api", about),
        Route("/api/listener", register, methods=["POST"]),
        Route("/api/{token}", state),
        Route("/api/{token}/answer", answer, methods=["POST"]),
        Route("/api/{token}/sound/{trial}/{place}", sound),
        Mount("/", StaticFiles(directory=PAGE, html=True)),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=_add_headers)],
        exception_handlers={HTTPException: _refuse, ConfigError: _refuse},
    )


async def _add_headers(request: Request, respond: RequestResponseEndpoint) -> Response:
    response = await respond(request)
    response.headers.update(HEADERS)
    return response


async def _refuse(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code)
    return JSONResponse({"error": str(error)}, 400)


async def _json(request: Request) -> dict[str, Any]:
    """Read a bounded JSON object. Its type keeps other sites' forms from posting here."""
    if request.headers.get("content-type") != "application/json":
        raise HTTPException(415, "send application/json")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, "too long")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise HTTPException(400, "not a JSON object")
    return data


def _progress(answers: Answers, request: Request) -> Progress:
    progress = answers.progress(request.path_params["token"])
    if progress is None:
        raise HTTPException(404, "no such listener")
    return progress


def _index(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise HTTPException(404, "no such sound")
    return int(text)


def _state(test: Test, progress: Progress) -> dict[str, Any]:
    """Tell what the page shows next."""
    number = progress.number
    if number is None:
        return {"finished": True}
    trial = progress.trials[number]
    phase = [n for n, t in enumerate(progress.trials) if t.practice == trial.practice]
    return {
        "finished": False,
        "rate": test.rate,
        "practice": trial.practice,
        "place": phase.index(number) + 1,  # in the practice or in the test
        "total": len(phase),
        "trial": number,
        "scores": [progress.scores.get(slot) for slot in range(len(trial.stimuli))],
    }
