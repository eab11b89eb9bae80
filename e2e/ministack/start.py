"""Starts MiniStack for a test, with what the tests need and MiniStack does not have.

Nothing here concerns the product, which speaks to MiniStack as it speaks to AWS.

- A resource type that MiniStack's CloudFormation refuses although its API Gateway knows what it
  makes: AWS::ApiGatewayV2::RouteResponse.
- A bucket that is not empty is not deleted with its stack, as on AWS; MiniStack would delete it.
- CloudFormation's refusals where MiniStack has none (behaviour.py), and what tests ask for on top
  (control.py). README.md in this folder is the specification of both.
- A record of every request, one JSON object a line, in the file that RECORD names. From it tests
  tell in what order things were done, and that nothing was done that need not be.
- A leash: MiniStack and its functions end when this program's standard input does, that is with
  the test, however the test ends.
- MiniStack listens on the port that it is given, and not on 443 as well.
"""

import json
import os
import signal
import sys
import threading

import behaviour
from control import Control
from ministack import app
from ministack.services import apigateway, s3
from ministack.services.cloudformation import provisioners


def main():
    threading.Thread(target=hold_leash, daemon=True).start()
    provisioners._RESOURCE_HANDLERS["AWS::ApiGatewayV2::RouteResponse"] = {
        "create": create_route_response,
        "update": update_route_response,
        "delete": delete_route_response,
    }
    provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]["delete"] = delete_bucket
    app._port_is_bindable = lambda *_: False
    behaviour.install()
    app.app = Control(app.app, os.environ.pop("RECORD"))
    app.main()


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


def answer(response):
    status, _, body = response
    if status >= 400:
        raise ValueError(f"AWS::ApiGatewayV2::RouteResponse: {body!r}")
    return json.loads(body)


if __name__ == "__main__":
    sys.exit(main())
