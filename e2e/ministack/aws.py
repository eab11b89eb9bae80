"""Calls AWS for a test: one operation in boto3's words, all of its pages, as one JSON document.

    python aws.py SERVICE OPERATION '{"Parameter": "value"}'

With a list of such parameters the operation is called once for each, and a list comes back. `Body` of
S3's put_object is the path of a file.
"""

import json
import os
import sys

import boto3


def main():
    service, operation, parameters = sys.argv[1:]
    parameters = json.loads(parameters)
    client = boto3.client(service, region_name=os.environ["AWS_REGION"])
    if isinstance(parameters, list):
        result = [call(client, operation, each) for each in parameters]
    else:
        result = call(client, operation, parameters)
    json.dump(result, sys.stdout, default=str)


def call(client, operation, parameters):
    if operation == "put_object":
        with open(parameters["Body"], "rb") as body:
            parameters["Body"] = body.read()
    if client.can_paginate(operation):
        return client.get_paginator(operation).paginate(**parameters).build_full_result()
    result = getattr(client, operation)(**parameters)
    result.pop("ResponseMetadata", None)
    return result


if __name__ == "__main__":
    main()
