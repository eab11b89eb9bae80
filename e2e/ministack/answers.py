"""AWS's refusals as AWS words them: status, code and message, in the form of the service that is asked.
README.md in this folder names the source of each.
"""

import json
from xml.sax.saxutils import escape

USER = "arn:aws:iam::123456789012:user/ann"

# The permissions of those operations that are not called as theirs.
PERMISSIONS = {
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListObjectsV2": "s3:ListBucket",
}

# Name: status, code, message.
REFUSALS = {
    "expired": (403, "ExpiredToken", "The security token included in the request is expired"),
    "unknown key": (
        403,
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
    ),
    "wrong secret": (
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your AWS "
        "Secret Access Key and signing method. Consult the service documentation for details.",
    ),
    "denied": (
        403,
        "AccessDenied",
        f"User: {USER} is not authorized to perform: {{action}} on resource: {{resource}} because no "
        "identity-based policy allows the {action} action",
    ),
    "denied without a word": (403, "AccessDenied", "Access Denied"),
    "throttled": (400, "Throttling", "Rate exceeded"),
    "slow down": (503, "SlowDown", "Please reduce your request rate."),
    "elsewhere": (
        301,
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint. Please "
        "send all future requests to this endpoint.",
    ),
    "broken": (500, "InternalFailure", "An internal error has occurred."),
}


def answer(name, entry):
    """Status, headers and body."""
    status, code, message = REFUSALS[name]
    action = entry["action"]
    resource = entry.get("stack") or entry["path"].strip("/")
    if not resource.startswith("arn:"):
        resource = f"arn:aws:{action.partition(':')[0]}:::{resource}"
    message = message.format(action=PERMISSIONS.get(action, action), resource=resource)
    code, message = escape(code), escape(message)
    headers = {"content-type": "text/xml", "x-amzn-requestid": "00000000-0000-0000-0000-000000000000"}
    if action.startswith("s3:"):
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    elif action.startswith(("lambda:", "logs:")):
        headers = {"content-type": "application/json", "x-amzn-errortype": code}
        body = json.dumps({"Message": message})
    else:
        # CloudFormation and CloudFront.
        error = f"<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>"
        body = f"<ErrorResponse><Error>{error}</Error><RequestId>0</RequestId></ErrorResponse>"
    return status, headers, body
