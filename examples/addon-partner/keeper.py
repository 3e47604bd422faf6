"""Keeper: a key-value store that others run apps with, as a partner of version 3 of Heroku's add-on partner API.

What the API asks of a partner is all here: POST, PUT and DELETE of resources, the grant's exchange for tokens, an
add-on that is finished later, and single sign-on to a dashboard. Apps put and get values with their token.

    MANIFEST  the file of the addon-manifest.json (default: the one beside this file)
    DATA      the file that everything is kept in (default: keeper.json)
    PORT      what to listen on at HOST (default: 8000 at 127.0.0.1)
"""

import asyncio
import base64
import hashlib
import hmac
import html
import json
import os
import secrets
import time
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

HERE = Path(__file__).parent
MANIFEST = json.loads(Path(os.environ.get("MANIFEST", HERE / "addon-manifest.json")).read_text())
DATA = Path(os.environ.get("DATA", "keeper.json"))
BOUNDS = {"small": 3, "large": 1000}  # values that a plan is for
SSO_SECONDS = 300
API = MANIFEST["api"]


class Shelf:
    """All resources by their uuid, on disk before anything is answered."""

    def __init__(self) -> None:
        self.resources: dict[str, dict] = json.loads(DATA.read_text()) if DATA.exists() else {}

    def save(self) -> None:
        """Written aside and renamed, so that a kill leaves the one or the other."""
        aside = DATA.with_suffix(".new")
        with aside.open("w") as file:
            json.dump(self.resources, file)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(DATA)


SHELF = web.AppKey("shelf", Shelf)
SESSIONS = web.AppKey("sessions", dict)
TASKS = web.AppKey("tasks", set)


@web.middleware
async def ours_alone(request: web.Request, handler):
    """Resources are for whoever knows the manifest's id and password."""
    if request.path.startswith("/heroku/resources"):
        wanted = base64.b64encode(f"{MANIFEST['id']}:{API['password']}".encode()).decode()
        if not hmac.compare_digest(f"Basic {wanted}", request.headers.get("Authorization", "")):
            return web.json_response({"message": "Who is asking?"}, status=401)
    return await handler(request)


# --- the partner API --------------------------------------------------------------------------------------------------


async def provision(request: web.Request) -> web.Response:
    """The same resource for the same uuid. `--slow` of `addons:create` has it finished later, as large ones would be."""
    shelf, asked = request.app[SHELF], await request.json()
    if asked["plan"] not in BOUNDS:
        return web.json_response({"message": f"Keeper has no plan {asked['plan']}."}, status=422)
    if "fail" in asked["options"]:
        return web.json_response({"message": "Keeper is full: try again next week."}, status=422)
    slow = "slow" in asked["options"]
    fresh = {"plan": asked["plan"], "name": asked["name"], "token": secrets.token_hex(16), "values": {}, "slow": slow}
    one = shelf.resources.setdefault(asked["uuid"], fresh)
    shelf.save()
    if slow:
        if asked["options"]["slow"] != "never":
            task = asyncio.create_task(finish(asked, dict(one)))
            request.app[TASKS].add(task)
            task.add_done_callback(request.app[TASKS].discard)
        return web.json_response({"id": asked["uuid"], "message": "Keeper clears a shelf for you."}, status=202)
    answer = {"id": asked["uuid"], "config": config_of(one), "message": "Keeper keeps what you put."}
    return web.json_response(answer, status=201)


async def finish(asked: dict, one: dict) -> None:
    """Trade the code for a token, give the config vars, and say that it is there."""
    url = urlsplit(asked["callback_url"])
    grant = {
        "grant_type": asked["oauth_grant"]["type"],
        "code": asked["oauth_grant"]["code"],
        "client_secret": os.environ.get("CLIENT_SECRET", API["password"]),
    }
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{url.scheme}://{url.netloc}/oauth/token", data=grant) as reply:
            token = (await reply.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.heroku+json; version=3"}
        if asked["options"]["slow"] == "fail":
            async with session.post(f"{asked['callback_url']}/actions/deprovision", headers=headers):
                return
        config = {"config": [{"name": name, "value": value} for name, value in config_of(one).items()]}
        async with session.patch(f"{asked['callback_url']}/config", json=config, headers=headers) as reply:
            reply.raise_for_status()
        async with session.post(f"{asked['callback_url']}/actions/provision", headers=headers) as reply:
            reply.raise_for_status()


async def change_plan(request: web.Request) -> web.Response:
    """Refused where what is kept would not fit."""
    shelf, asked = request.app[SHELF], await request.json()
    one = shelf.resources.get(request.match_info["id"])
    if one is None:
        return web.json_response({"message": "There is no such resource."}, status=404)
    bound = BOUNDS.get(asked["plan"], 0)
    if len(one["values"]) > bound:
        return web.json_response({"message": f"{len(one['values'])} values are kept, of {bound}."}, status=422)
    one["plan"] = asked["plan"]
    shelf.save()
    return web.json_response({"config": config_of(one), "message": f"Keeper keeps {bound} values now."})


async def deprovision(request: web.Request) -> web.Response:
    """Gone at once, with all that was kept."""
    shelf = request.app[SHELF]
    if shelf.resources.pop(request.match_info["id"], None) is None:
        return web.json_response({"message": "It is gone."}, status=410)
    shelf.save()
    return web.Response(status=204)


def own_url() -> str:
    """Where apps reach us."""
    url = urlsplit(API["production"]["base_url"])
    return f"{url.scheme}://{url.netloc}"


def config_of(one: dict) -> dict[str, str]:
    """What an app is given."""
    return {"KEEPER_URL": own_url(), "KEEPER_TOKEN": one["token"]}


# --- what apps ask ----------------------------------------------------------------------------------------------------


def held_by(request: web.Request) -> dict:
    """The resource of the app's token."""
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    for one in request.app[SHELF].resources.values():
        if hmac.compare_digest(one["token"], given):
            return one
    raise web.HTTPUnauthorized(text="no such token\n")


async def list_values(request: web.Request) -> web.Response:
    return web.json_response(held_by(request)["values"])


async def put_value(request: web.Request) -> web.Response:
    one, key = held_by(request), request.match_info["key"]
    if key not in one["values"] and len(one["values"]) >= BOUNDS[one["plan"]]:
        raise web.HTTPInsufficientStorage(text="the plan is full\n")
    one["values"][key] = await request.text()
    request.app[SHELF].save()
    return web.Response(status=204)


# --- the dashboard ----------------------------------------------------------------------------------------------------


async def sign_on(request: web.Request) -> web.Response:
    """Who comes with a fresh token of the platform's is let in."""
    form = await request.post()
    uuid, at = str(form.get("resource_id", "")), str(form.get("timestamp", ""))
    wanted = hashlib.sha1(f"{uuid}:{API['sso_salt']}:{at}".encode(), usedforsecurity=False).hexdigest()
    fresh = at.isdecimal() and abs(time.time() - int(at)) < SSO_SECONDS
    if not fresh or not hmac.compare_digest(wanted, str(form.get("resource_token", ""))):
        raise web.HTTPForbidden(text="This login is not the platform's, or it is old.\n")
    if uuid not in request.app[SHELF].resources:
        raise web.HTTPNotFound(text="There is no such resource.\n")
    session = secrets.token_urlsafe(24)
    request.app[SESSIONS][session] = uuid
    reply = web.HTTPSeeOther("/dashboard")
    reply.set_cookie("keeper", session, httponly=True, samesite="Lax")
    raise reply


async def dashboard(request: web.Request) -> web.Response:
    one = request.app[SHELF].resources.get(request.app[SESSIONS].get(request.cookies.get("keeper", ""), ""))
    if one is None:
        raise web.HTTPForbidden(text="Come by `heroku addons:open`.\n")
    rows = "".join(f"<li>{html.escape(key)}: {html.escape(value)}</li>" for key, value in one["values"].items())
    text = f"<!doctype html><title>Keeper</title><h1>{html.escape(one['name'])} ({one['plan']})</h1><ul>{rows}</ul>"
    return web.Response(text=text, content_type="text/html")


async def health(_: web.Request) -> web.Response:
    return web.Response(text="Keeper is here.\n")


def make_app() -> web.Application:
    """The whole service."""
    app = web.Application(middlewares=[ours_alone])
    app[SHELF], app[SESSIONS], app[TASKS] = Shelf(), {}, set()
    app.add_routes(
        [
            web.get("/", health),
            web.post("/heroku/resources", provision),
            web.put("/heroku/resources/{id}", change_plan),
            web.delete("/heroku/resources/{id}", deprovision),
            web.get("/values", list_values),
            web.put("/values/{key}", put_value),
            web.post("/sso", sign_on),
            web.get("/dashboard", dashboard),
        ]
    )
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8000")))
