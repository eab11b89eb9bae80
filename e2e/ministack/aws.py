"""Calls AWS for a test: one operation in boto3's words, all of its pages, as one JSON document.

    python aws.py SERVICE OPERATION '{"Parameter": "value"}'

With a list of such parameters the operation is called once for each, and a list comes back. `Body` of
S3's put_object is the path of a file.

Without arguments it does so for each line of standard input, `["SERVICE", "OPERATION", {…}]`, and
answers each with a line: {"result": …} or {"error": "…"}. That saves the start, which takes longer
than the calls.
"""

import functools
import json
import os
import sys

import boto3


def main():
    if sys.argv[1:]:
        service, operation, parameters = sys.argv[1:]
        json.dump(called(service, operation, json.loads(parameters)), sys.stdout, default=str)
        return
    for line in sys.stdin:
        try:
            answer = {"result": called(*json.loads(line))}
        except Exception as error:
            answer = {"error": str(error)}
        print(json.dumps(answer, default=str), flush=True)


def called(service, operation, parameters):
    if isinstance(parameters, list):
        return [call(client(service), operation, each) for each in parameters]
    return call(client(service), operation, parameters)


@functools.cache
def client(service):
    return boto3.client(service, region_name=os.environ["AWS_REGION"])


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
