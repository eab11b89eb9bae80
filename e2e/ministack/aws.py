"""Calls AWS for a test: one operation in boto3's words, all of its pages, as one JSON document.

    python aws.py SERVICE OPERATION ['{"Parameter": "value"}']

`Body` of S3's put_object is the path of a file.
"""

import json
import os
import sys

import boto3


def main():
    service, operation, *arguments = sys.argv[1:]
    parameters = json.loads(arguments[0]) if arguments else {}
    if operation == "put_object":
        with open(parameters["Body"], "rb") as body:
            parameters["Body"] = body.read()
    client = boto3.client(service, region_name=os.environ["AWS_REGION"])
    if client.can_paginate(operation):
        result = client.get_paginator(operation).paginate(**parameters).build_full_result()
    else:
        result = getattr(client, operation)(**parameters)
    result.pop("ResponseMetadata", None)
    json.dump(result, sys.stdout, default=str)


if __name__ == "__main__":
    main()
