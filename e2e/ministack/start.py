"""Starts MiniStack for a test, with what the tests need and MiniStack does not have.

Nothing here concerns the product, which speaks to MiniStack as it speaks to AWS.

- A resource type that MiniStack's CloudFormation refuses although its API Gateway knows what it
  makes: AWS::ApiGatewayV2::RouteResponse.
- Buckets as websites: over HTTP alone, at `<bucket>.s3-website-<region>.amazonaws.com`, with the
  index document for the root. MiniStack keeps the configuration and serves nothing by it.
- A bucket that is not empty is not deleted with its stack, as on AWS; MiniStack would delete it.
- A table's point-in-time recovery is what its template says; MiniStack's CloudFormation ignores it.
- A public policy is refused where the bucket blocks such, also from CloudFormation, as on AWS, and
  where the account does. MiniStack knows no such setting of an account: it is on while there is a
  bucket called `account-blocks-public-policies`.
- CloudFormation's refusals where MiniStack has none (behaviour.py), and what tests ask for on top
  (control.py). README.md in this folder is the specification of both.
- Sockets through a distribution: MiniStack refuses them. They go to the origin that the
  distribution's own configuration names for the path.
- Cognito is at its own name, which MiniStack takes for a bucket's, and a user pool says where it is with
  `https`; MiniStack thinks that TLS is somebody else's, who says so in a header.
- CloudWatch's permissions are checked: MiniStack does not know its operations by their paths.
- A record of every request, one JSON object a line, in the file that RECORD names. From it tests
  tell in what order things were done, and that nothing was done that need not be.
- A leash: MiniStack and its functions end when this program's standard input does, that is with
  the test, however the test ends.
- More than 1,000 requests on a connection of HTTP/2: Hypercorn, which MiniStack runs on, says goodbye
  with the next one, leaves those under way without an answer, and closes 75 s later.
- MiniStack listens on the port that it is given, and not on 443 as well; without TLS on the one
  that WEBSITE_PORT names.
"""

import json
import os
import re
import signal
import sys
import threading

import behaviour
from control import Control
from ministack import app
from ministack.core import iam_actions
from ministack.services import apigateway, cloudfront, cognito, dynamodb, s3
from ministack.services.cloudformation import provisioners


def main():
    threading.Thread(target=hold_leash, daemon=True).start()
    provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::RouteResponse"] = {
        "create": create_route_response,
        "update": update_route_response,
        "delete": delete_route_response,
    }
    provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]["delete"] = delete_bucket
    table = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    table["create"] = with_recovery(table["create"], props_at=1)
    table["update"] = with_recovery(table["update"], props_at=2)
    iam_actions.extract_iam_action = with_cloudwatch(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = or_any(iam_actions.extract_resource_arn)
    policy = provisioners._RESOURCE_HANDLERS["AWS::S3::BucketPolicy"]
    policy["create"] = unless_blocked(policy["create"])
    policy["update"] = unless_blocked(policy["update"])
    app._NON_S3_VHOST_NAMES |= {"cognito-idp"}
    cognito.well_known_openid_configuration = over_tls(cognito.well_known_openid_configuration)
    app._port_is_bindable = lambda *_: False
    behaviour.install()
    app._HypercornConfig.keep_alive_max_requests = sys.maxsize
    app._HypercornConfig._insecure_bind = ["127.0.0.1:" + os.environ.pop("WEBSITE_PORT")]
    app.app = Control(Edges(Websites(app.app)), os.environ.pop("RECORD"))
    app.main()


def over_tls(discover):
    def discovered(pool, region=None, host=None, scheme=None):
        return discover(pool, region, host, "https")

    return discovered


def with_cloudwatch(extract):
    """CloudWatch's operations are in the paths of its requests: `/service/<name>/operation/<operation>`.
    https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
    """

    def extracted(service, method, path, *rest):
        if service == "monitoring" and "/operation/" in path:
            return "cloudwatch:" + path.rpartition("/")[2]
        return extract(service, method, path, *rest)

    return extracted


def or_any(extract):
    """Where a request is CBOR and not JSON, nothing in it names a resource here."""

    def extracted(*arguments, **named):
        try:
            return extract(*arguments, **named)
        except UnicodeDecodeError:
            return "*"

    return extracted


def hold_leash():
    """Ends this program's process group, the functions' processes included."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


# AWS::ApiGatewayV2::RouteResponse. `Ref` gives the response's id; RouteResponseKey can be changed
# in place, ApiId and RouteId cannot.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-apigatewayv2-routeresponse.html


def create_route_response(logical_id, props, stack_name):
    route = props["RouteId"].rpartition("/")[2]
    made = answer(
        apigateway._create_route_response(
            props["ApiId"],
            route,
            {
                "routeResponseKey": props["RouteResponseKey"],
                "modelSelectionExpression": props.get("ModelSelectionExpression"),
            },
        )
    )
    return made["routeResponseId"], {"RouteResponseId": made["routeResponseId"]}


def update_route_response(physical_id, old_props, new_props, stack_name):
    moved = any(old_props.get(key) != new_props.get(key) for key in ("ApiId", "RouteId"))
    if moved:
        replacement = create_route_response(None, new_props, stack_name)
        delete_route_response(physical_id, old_props)
        return replacement
    answer(
        apigateway._update_route_response(
            new_props["ApiId"],
            new_props["RouteId"].rpartition("/")[2],
            physical_id,
            {"routeResponseKey": new_props["RouteResponseKey"]},
        )
    )
    return physical_id, {"RouteResponseId": physical_id}


def delete_route_response(physical_id, props):
    apigateway._delete_route_response(
        props["ApiId"], props["RouteId"].rpartition("/")[2], physical_id
    )


def delete_bucket(physical_id, props):
    """Versions and delete markers count as well.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/delete-bucket.html
    """
    bucket = s3._buckets.get(physical_id)
    if bucket and (bucket["objects"] or s3._bucket_has_versions(physical_id)):
        raise ValueError(
            "The bucket you tried to delete is not empty (Service: S3, Status Code: 409)"
        )
    provisioners._s3_delete(physical_id, props)


def with_recovery(make, props_at):
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-dynamodb-table-pointintimerecoveryspecification.html"""

    def made(*arguments, **named):
        result = make(*arguments, **named)
        name = result[0] if isinstance(result, tuple) else result
        recovery = arguments[props_at].get("PointInTimeRecoverySpecification") or {}
        enabled = str(recovery.get("PointInTimeRecoveryEnabled", False)).lower() == "true"
        dynamodb._pitr_settings[name] = enabled
        return result

    return made


def unless_blocked(put):
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html"""

    def checked(*arguments):
        props = arguments[-2]
        policy = provisioners._policy_document_json(props)
        if "account-blocks-public-policies" in s3._buckets and s3._policy_is_public(policy):
            raise ValueError(
                "User: arn:aws:iam::000000000000:user/ann is not authorized to perform: "
                f's3:PutBucketPolicy on resource: "arn:aws:s3:::{props["Bucket"]}" because public '
                "policies are blocked by the BlockPublicPolicy block public access setting. "
                "(Service: S3, Status Code: 403)"
            )
        status, _, body = s3._put_bucket_policy(props["Bucket"], policy.encode())
        if status >= 400:
            raise ValueError(f"AWS::S3::BucketPolicy: {body!r}")
        return put(*arguments)

    return checked


def answer(response):
    status, _, body = response
    if status >= 400:
        raise ValueError(f"AWS::ApiGatewayV2::RouteResponse: {body!r}")
    return json.loads(body)


class Websites:
    """Website endpoints, whose requests are those of anybody to the bucket itself otherwise.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/WebsiteEndpoints.html
    """

    HOST = re.compile(r"(.+)\.s3-website[.-][a-z0-9-]+\.amazonaws\.com")

    def __init__(self, inner):
        self.inner = inner

    async def __call__(self, scope, receive, send):
        headers = dict(scope.get("headers", []))
        site = self.HOST.fullmatch(headers.get(b"host", b"").decode("latin-1"))
        if not site and scope.get("scheme") == "http":
            return await refuse(send, 403, "only websites are served without TLS")
        if site:
            bucket, path = site[1], scope["path"]
            owner = s3._bucket_owner_account(bucket)
            website = s3._bucket_websites.get_scoped(owner, None, bucket) if owner else None
            if scope["scheme"] != "http" or scope["method"] not in ("GET", "HEAD"):
                return await refuse(send, 405, "a website answers GET and HEAD over HTTP")
            if not website:
                return await refuse(send, 404, "NoSuchWebsiteConfiguration")
            if wants_tls(s3._bucket_policies.get_scoped(owner, None, bucket)):
                return await refuse(send, 403, "AccessDenied")
            if path.endswith("/"):
                path += re.search("<Suffix>(.+)</Suffix>", website)[1]
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self.inner(scope, receive, send)


class Edges:
    """CloudFront's edges as far as sockets go through them.
    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/distribution-working-with.websockets.html
    """

    HOST = re.compile(r"([a-z0-9]+)\.cloudfront\.net")
    # The managed origin request policies that bring a handshake's headers to the origin, and whether
    # the viewer's Host is among them.
    POLICIES = {
        "216adef6-5c7f-47e4-b989-5492eafa07d3": True,
        "b689b0a8-53d0-40ab-baf2-68738e2966ac": False,
    }

    def __init__(self, inner):
        self.inner = inner

    async def __call__(self, scope, receive, send):
        headers = dict(scope.get("headers", []))
        edge = self.HOST.fullmatch(headers.get(b"host", b"").decode("latin-1"))
        if edge and scope["type"] == "websocket":
            host = self.origin(edge[1], scope["path"])
            if not host:
                await receive()
                return await send({"type": "websocket.close", "code": 1008})
            headers[b"host"] = host.encode()
            scope = {**scope, "headers": list(headers.items())}
        await self.inner(scope, receive, send)

    def origin(self, label, path):
        """The host that is asked for a socket, if there is one."""
        distribution = cloudfront.find_distribution_for_label(label)
        if not distribution or not distribution["enabled"]:
            return None
        config = cloudfront.parse_distribution_dataplane_config(distribution)
        fitting = (it for it in config["ordered_behaviors"] if matches(it["path_pattern"], path))
        behavior = next(fitting, config["default_behavior"])
        keeps_host = self.POLICIES.get(behavior["origin_request_policy_id"])
        if keeps_host is None:
            return None
        own = distribution["DomainName"]
        return own if keeps_host else config["origins"][behavior["target_origin_id"]]["domain_name"]


def matches(pattern, path):
    """With or without the first slash; a star is anything, a question mark one character."""
    parts = re.split(r"([*?])", pattern.removeprefix("/"))
    wild = {"*": ".*", "?": "."}
    expression = "".join(wild.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(expression, path.removeprefix("/"), re.DOTALL) is not None


def wants_tls(policy):
    """Whether a bucket's policy denies what comes without TLS; MiniStack does not look at that."""
    statements = json.loads(policy or "{}").get("Statement", [])
    conditions = [it.get("Condition", {}) for it in statements if it["Effect"] == "Deny"]
    return any(it.get("Bool", {}).get("aws:SecureTransport") == "false" for it in conditions)


async def refuse(send, status, why):
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": why.encode()})


if __name__ == "__main__":
    sys.exit(main())
