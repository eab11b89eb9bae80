"""What a test can do to the AWS of the tests while it runs: hold a request, have one refused as AWS
refuses it, let a resource fail, add to a template. README.md in this folder says which and how.

A test asks for it with POST /_tests/<verb> and a JSON object. Who asks AWS is told apart by address:
each program that a test gives a machine of its own comes from another one of 127.0.0.0/8.
"""

import asyncio
import collections
import json
import time
import urllib.parse

import answers
import behaviour
from ministack.core import responses

HOLD_TIMEOUT_S = 120
S3_OPERATIONS = {
    ("GET", "versions"): "ListObjectVersions",
    ("GET", "list-type"): "ListObjectsV2",
    ("POST", "delete"): "DeleteObjects",
    ("PUT",): "PutObject",
}


class Machine:
    """The account of an address, and what was planned for the requests from there."""

    def __init__(self):
        self.account = None
        self.expect(None, None, None)

    def expect(self, action, nth, moment):
        """Counts from now on, and plans to hold the request that is the nth of that action."""
        self.counts = collections.Counter()
        self.wanted = action, nth
        self.moment = moment
        self.request = None
        self.is_answered = False
        self.held = asyncio.Event()
        self.released = asyncio.Event()


class Control:
    """Passes every request on to MiniStack, but as a test wants it, and writes down which it was and
    what came of it."""

    def __init__(self, inner, path):
        self.inner = inner
        self.record = open(path, "a", buffering=1)
        self.machines = {}
        self.answers = []

    async def __call__(self, scope, receive, send):
        if scope["type"] not in ("http", "websocket") or scope["path"].startswith("/_ministack"):
            return await self.inner(scope, receive, send)
        if scope["path"].startswith("/_tests/"):
            return await self.obey(scope, receive, send)
        request = Request(scope)
        receive = await request.begin(receive)
        machine = self.machines.setdefault(request.entry["machine"], Machine())
        action = request.entry["action"]
        machine.counts[action] += 1
        request.entry["nth"] = machine.counts[action]
        is_held = (action, machine.counts[action]) == machine.wanted
        if is_held and machine.moment == "before" and not await hold(machine, request.entry):
            return
        send = self.recorded(request.entry, send, machine if is_held else None)
        if answer := self.planned(request.entry):
            await whole_body(receive)
            return await reply(send, *answer)
        if machine.account:
            # Whoever is not signed, such as a browser, is taken to be of another account otherwise.
            responses._request_account_id.set(machine.account)
        await self.inner(scope, receive, send)
        behaviour.was_asked(request.entry)

    def recorded(self, entry, send, machine):
        """Writes the entry down when the answer is there, and holds the answer back if it is to be."""
        is_lost = False

        async def tell(event):
            nonlocal is_lost
            if event["type"] in ("http.response.start", "websocket.accept", "websocket.close"):
                entry["status"] = event.get("status", 101)
                if machine and machine.moment == "after":
                    is_lost = not await hold(machine, entry)
                if event["type"].startswith("websocket."):
                    self.write(entry)
            elif event["type"] == "http.response.body":
                if entry["status"] >= 400:
                    entry["error"] += event.get("body", b"").decode("utf-8", "replace")
                if not event.get("more_body"):
                    # Before the client has the answer, so that it never knows more than the record.
                    self.write(entry)
            if not is_lost:
                await send(event)

        return tell

    def write(self, entry):
        self.record.write(json.dumps(entry) + "\n")

    def planned(self, entry):
        """The answer that a test wants this request to have, if it wants one."""
        for plan in self.answers:
            is_meant = plan["machine"] == entry["machine"] and plan["action"] in (
                entry["action"],
                "*",
            )
            if is_meant and plan["times"] > 0:
                plan["times"] -= 1
                return answers.answer(plan["with"], entry)
        return None

    async def obey(self, scope, receive, send):
        """Does what a test asks for."""
        order = json.loads(await whole_body(receive) or b"{}")
        verb = scope["path"].rpartition("/")[2]
        done = {}
        if verb == "account":
            self.machines.setdefault(order["machine"], Machine()).account = order["account"]
        elif verb == "hold":
            self.machines[order["machine"]].expect(order["action"], order["nth"], order["moment"])
        elif verb == "held":
            machine = self.machines[order["machine"]]
            # Until the test has heard it or has gone.
            gone = asyncio.ensure_future(receive())
            held = asyncio.ensure_future(machine.held.wait())
            await asyncio.wait({gone, held}, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            held.cancel()
            done = machine.request
        elif verb == "release":
            machine = self.machines[order["machine"]]
            machine.is_answered = order["answer"]
            machine.released.set()
        elif verb == "answer":
            self.answers.append(order)
        elif verb == "forget":
            self.answers.clear()
            behaviour.forget()
        else:
            behaviour.plan(verb, order)
        await reply(send, 200, {"content-type": "application/json"}, json.dumps(done))


class Request:
    """A request as the record has it."""

    def __init__(self, scope):
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        self.is_form = headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        self.entry = {
            "at": time.time(),
            "machine": scope["client"][0],
            "method": scope.get("method", "GET"),
            "host": host,
            "path": scope["path"],
            "query": scope.get("query_string", b"").decode(),
            "operation": headers.get("x-amz-target", "").rpartition(".")[2],
            "caller": caller(headers.get("authorization", "")),
            "error": "",
        }
        self.form = {}

    async def begin(self, receive):
        """Reads what tells which operation it is; gives what the rest reads."""
        entry = self.entry
        if not self.is_form or entry["operation"]:
            entry["action"] = action(entry)
            return receive
        events = [await receive()]
        while events[-1]["type"] == "http.request" and events[-1].get("more_body"):
            events.append(await receive())
        body = b"".join(event.get("body", b"") for event in events).decode("latin-1")
        self.form = urllib.parse.parse_qs(body)
        entry["operation"] = self.form.get("Action", [""])[0]
        entry["action"] = action(entry)
        entry["stack"] = self.form.get("StackName", [""])[0]

        async def replay():
            return events.pop(0) if events else await receive()

        return replay


def action(entry):
    """Service and operation. What a browser would ask has none: the same for all distributions and APIs."""
    query = urllib.parse.parse_qs(entry["query"], keep_blank_values=True)
    method, path = entry["method"], entry["path"]
    first, _, rest = entry["host"].partition(".")
    service = "s3" if rest.startswith("s3") else first
    operation = entry["operation"]
    if service == "s3":
        told_by = [name for name in ("versions", "list-type", "delete") if name in query]
        operation = S3_OPERATIONS.get((method, *told_by), "")
    elif service == "cloudfront" and "/invalidation" in path:
        operation = "CreateInvalidation" if method == "POST" else "GetInvalidation"
    return f"{service}:{operation}" if operation else f"{method} {rest or entry['host']}{path}"


def caller(authorization):
    """The access key id of a signed request."""
    return authorization.partition("Credential=")[2].partition("/")[0]


async def hold(machine, entry):
    """Waits until the test lets go; whether the request is to go on then."""
    machine.request = dict(entry)
    machine.held.set()
    await asyncio.wait_for(machine.released.wait(), HOLD_TIMEOUT_S)
    return machine.is_answered


async def whole_body(receive):
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    return body


async def reply(send, status, headers, body):
    headers = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
