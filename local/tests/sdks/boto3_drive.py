"""Drives `@connections` with boto3, and prints what it saw as JSON."""
import json
import sys

import boto3

endpoint, connection_id = sys.argv[1:]
client = boto3.client(
    "apigatewaymanagementapi",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id="local",
    aws_secret_access_key="local",
)


def error_of(call, **arguments):
    try:
        call(ConnectionId=connection_id, **arguments)
    except client.exceptions.ClientError as error:
        metadata = error.response["ResponseMetadata"]
        return [type(error).__name__, metadata["HTTPStatusCode"]]
    return None


client.post_to_connection(ConnectionId=connection_id, Data=b"from the SDK")
seen = client.get_connection(ConnectionId=connection_id)
too_large = error_of(client.post_to_connection, Data=b"x" * 131_073)
client.delete_connection(ConnectionId=connection_id)
print(
    json.dumps(
        {
            "connectedAt": seen["ConnectedAt"].isoformat()[:10],
            "ordered": seen["ConnectedAt"] <= seen["LastActiveAt"],
            "sourceIp": seen["Identity"]["SourceIp"],
            "userAgent": seen["Identity"]["UserAgent"],
            "tooLarge": too_large,
            "post": error_of(client.post_to_connection, Data=b"x"),
            "get": error_of(client.get_connection),
            "delete": error_of(client.delete_connection),
        }
    )
)
