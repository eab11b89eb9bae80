# A function that speaks the Runtime API by itself and does what its event says. How it starts is
# up to its handler.
import http.client
import json
import os
import signal
import subprocess
import sys
import time

api = os.environ["AWS_LAMBDA_RUNTIME_API"]
handler = os.environ["_HANDLER"]
connection = http.client.HTTPConnection(api)


def call(method, path, body=None, headers={}):
    connection.request(method, "/2018-06-01/runtime/" + path, body, headers)
    answer = connection.getresponse()
    return answer, answer.read()


def post(path, value, headers={}):
    answer, body = call("POST", path, json.dumps(value), headers)
    return answer.status, json.loads(body)


if handler == "dies":
    print("on standard output", flush=True)
    print("GLIBC_2.99 not found", file=sys.stderr, flush=True)
    sys.exit(3)
if handler == "init-error":
    post("init/error", {"errorType": "Config.Missing", "errorMessage": "`TABLE` is not set"})
    sys.exit(1)
if handler == "slow-start":
    time.sleep(0.3)
if handler == "has-child":
    child = subprocess.Popen(["sleep", "600"])

while True:
    answer, body = call("GET", "invocation/next")
    now_ms = time.time() * 1000
    event = json.loads(body)
    request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
    proxied = "requestContext" in event
    if proxied:
        event = json.loads(event.get("body") or '{"do": "nothing"}')
    what = event["do"]
    if what == "headers":
        result = {
            "request_id": request_id,
            "deadline_in_ms": float(answer.headers["Lambda-Runtime-Deadline-Ms"]) - now_ms,
            "arn": answer.headers["Lambda-Runtime-Invoked-Function-Arn"],
        }
    elif what == "environment":
        result = dict(os.environ)
    elif what == "nothing":
        result = {}
    elif what == "pid":
        result = {"pid": os.getpid()}
    elif what == "child":
        result = {"pid": child.pid}
    elif what == "sleep":
        print("sleeping", flush=True)
        time.sleep(event["s"])
        result = {"pid": os.getpid()}
    elif what == "wait":
        # For a test that lets it go on.
        print("waiting", flush=True)
        while not os.path.exists(event["file"]):
            time.sleep(0.005)
        result = {"pid": os.getpid()}
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "exit":
        os._exit(event["code"])
    elif what == "append":
        # Fails all but the last of so many attempts.
        with open(event["file"], "a+") as file:
            file.write(request_id + "\n")
            file.seek(0)
            attempts = len(file.readlines())
        if attempts < event["attempts"]:
            post(f"invocation/{request_id}/error", {"errorType": "Not.Yet", "errorMessage": ""})
            continue
        result = {}
    elif what == "invoke":
        host = os.environ["AWS_ENDPOINT_URL_LAMBDA"].removeprefix("http://")
        lambda_api = http.client.HTTPConnection(host)
        headers = {"X-Amz-Invocation-Type": event["type"]}
        path = f"/2015-03-31/functions/{event['function']}/invocations"
        lambda_api.request("POST", path, event["body"], headers)
        answer = lambda_api.getresponse()
        answer.read()
        result = {"status": answer.status, "error": answer.headers["X-Amzn-Errortype"]}
    elif what == "error":
        post(
            f"invocation/{request_id}/error",
            {"errorType": "Chat.Broken", "errorMessage": "no luck", "stackTrace": []},
        )
        continue
    elif what == "error-by-header":
        headers = {"Lambda-Runtime-Function-Error-Type": "Chat.Header"}
        call("POST", f"invocation/{request_id}/error", "not JSON", headers)
        continue
    elif what == "stale":
        status, body = post("invocation/another/response", "stolen")
        result = {"status": status, "body": body}
    elif what == "big":
        call("POST", f"invocation/{request_id}/response", "x" * event["bytes"])
        # What is refused unread ends its connection.
        connection.close()
        continue
    if proxied:
        result = {"statusCode": 200, "body": json.dumps(result)}
    post(f"invocation/{request_id}/response", result)
