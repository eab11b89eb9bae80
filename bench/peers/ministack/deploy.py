"""Puts our template and our bootstrap on a MiniStack without TLS, and prints `{"websocket": URL}`.

Arguments: MiniStack's URL, the template as JSON, the bootstrap. The template is changed in one place:
`@connections` is at MiniStack's URL rather than at AWS's.
"""

import io
import json
import sys
import time
import urllib.request
import zipfile

import boto3

DEADLINE_S = 60
endpoint, template_path, bootstrap_path = sys.argv[1:]


def main():
    wait_for_health()
    client = lambda service: boto3.client(  # noqa: E731
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    s3, cloudformation = client("s3"), client("cloudformation")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="bootstrap.zip", Body=package())
    parameters = {"CodeBucket": "code", "CodeKey": "bootstrap.zip", "Cdn": "off", "MessagesPerSecond": "0"}
    cloudformation.create_stack(
        StackName="chat",
        TemplateBody=template(),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
        ],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    )
    url = output(cloudformation, "DirectWebSocketUrl")
    # wss://<api>.execute-api.<region>.amazonaws.com/<stage>
    api, stage = url.removeprefix("wss://").split(".")[0], url.rpartition("/")[2]
    where = endpoint.replace("http://", "ws://")
    print(json.dumps({"websocket": f"{where}/_aws/execute-api/{api}/{stage}"}))


def wait_for_health():
    since, problem = time.monotonic(), None
    while time.monotonic() - since < DEADLINE_S:
        try:
            with urllib.request.urlopen(endpoint + "/_ministack/health", timeout=5):
                return
        except OSError as error:
            problem = error
            time.sleep(0.05)
    sys.exit(f"MiniStack is not up after {DEADLINE_S} s: {problem}")


def package():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        file = zipfile.ZipInfo("bootstrap")
        file.external_attr = 0o100755 << 16
        file.compress_type = zipfile.ZIP_DEFLATED
        with open(bootstrap_path, "rb") as program:
            archive.writestr(file, program.read())
    return packed.getvalue()


def template():
    with open(template_path) as file:
        document = json.load(file)
    here = {"Fn::Sub": endpoint + "/_aws/execute-api/${WebSocketApi}/${StageName}"}
    changed = 0
    for resource in document["Resources"].values():
        variables = resource.get("Properties", {}).get("Environment", {}).get("Variables", {})
        if "MANAGEMENT_ENDPOINT" in variables:
            variables["MANAGEMENT_ENDPOINT"] = here
            changed += 1
    if changed == 0:
        sys.exit("no function of the template has a MANAGEMENT_ENDPOINT")
    return json.dumps(document)


def output(cloudformation, key):
    since = time.monotonic()
    while time.monotonic() - since < DEADLINE_S:
        (stack,) = cloudformation.describe_stacks(StackName="chat")["Stacks"]
        status = stack["StackStatus"]
        if status == "CREATE_COMPLETE":
            return next(it["OutputValue"] for it in stack["Outputs"] if it["OutputKey"] == key)
        if "FAILED" in status or "ROLLBACK" in status:
            sys.exit(f"the stack is {status}: {stack.get('StackStatusReason')}")
        time.sleep(0.1)
    sys.exit(f"the stack is still {status} after {DEADLINE_S} s")


main()
