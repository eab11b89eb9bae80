"""How CloudFormation behaves where MiniStack does not, and what a test wants it to do. README.md in this
folder has each rule with its source.
"""

import asyncio
import contextvars
import json

from ministack.services import apigateway, cloudformation, cloudwatch_logs, lambda_svc, s3
from ministack.services.cloudformation import changesets, engine, handlers, helpers, stacks

# How long an operation goes on when nobody looks at the stack.
UNSEEN_S = 0.5
STACK = "AWS::CloudFormation::Stack"
BAD_FOR_CHANGES = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")

failures = []
additions = {}
rejections = {}
is_slow = False
looks = asyncio.Event()


def install():
    handlers._ACTION_HANDLERS["CreateChangeSet"] = create_change_set
    handlers._ACTION_HANDLERS["DeleteStack"] = delete_stack
    handlers._ACTION_HANDLERS["ListStackResources"] = list_stack_resources
    cloudformation._ACTION_HANDLERS = handlers._ACTION_HANDLERS
    stacks._provision_resource = failing(stacks._provision_resource, name_at=1, stack_at=3)
    stacks._update_resource = failing(stacks._update_resource, name_at=5, stack_at=4)
    for module in (changesets, handlers, stacks):
        if hasattr(module, "_create_stack_task_in_region"):
            module._create_stack_task_in_region = begin
        module._add_event = add_event
        if hasattr(module, "_delete_stack_async"):
            module._delete_stack_async = delete_all
    changesets._resolve_props_for_diff = resolve_what_is_made
    lambda_svc._emit_lambda_logs = emit_lambda_logs
    apigateway._invoke_ws_lambda = invoke_ws_lambda
    apigateway.handle_websocket = handle_websocket


def plan(verb, order):
    """What a test asks for, but for what concerns requests alone."""
    global is_slow
    if verb == "fail":
        failures.append(order)
    elif verb == "add":
        additions[order["stack"]] = order["resources"]
    elif verb == "reject":
        rejections[order["stack"]] = order["reason"]
    elif verb == "slow":
        is_slow = order["slow"]
    else:
        raise ValueError(f"no test asks for {verb}")


def forget():
    failures.clear()
    additions.clear()
    rejections.clear()


def was_asked(entry):
    """Somebody has looked at a stack: what goes on with it has been seen."""
    if entry["action"] == "cloudformation:DescribeStacks":
        looks.set()


# A change set is refused where the stack cannot be changed, and a second one for a stack that is not
# made yet is for the same stack.

create_inner = changesets._create_change_set
delete_inner = handlers._delete_stack


def create_change_set(params):
    name = helpers._p(params, "StackName")
    stack = handlers._resolve_stack(name)
    status = stack["StackStatus"] if stack else "DELETE_COMPLETE"
    is_in_progress = status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"
    if is_in_progress or status in BAD_FOR_CHANGES:
        return helpers._error(
            "ValidationError", f"Stack:{stack['StackId']} is in {status} state and can not be updated."
        )
    if more := additions.get(name):
        template = engine._parse_template(helpers._p(params, "TemplateBody"))
        template["Resources"].update(more)
        params["TemplateBody"] = [json.dumps(template)]
    answer = create_inner(params)
    if status == "REVIEW_IN_PROGRESS" and answer[0] == 200:
        answer = keep_id(stack, answer)
    if reason := rejections.get(name):
        for change_set in cloudformation._change_sets.values():
            if change_set["ChangeSetName"] == helpers._p(params, "ChangeSetName"):
                failed = {"Status": "FAILED", "ExecutionStatus": "UNAVAILABLE", "StatusReason": reason}
                change_set.update(failed)
    return answer


resolve_inner = changesets._resolve_props_for_diff


def resolve_what_is_made(template, params, *rest):
    """What its condition leaves out is no part of a stack, and so of none of its changes."""
    resolved = resolve_inner(template, params, *rest)
    conditions = engine._evaluate_conditions(template, params)
    made = {
        name: resource
        for name, resource in resolved.get("Resources", {}).items()
        if conditions.get(template["Resources"][name].get("Condition"), True)
    }
    return {**resolved, "Resources": made}


def keep_id(old, answer):
    """Gives a stack that was only reviewed so far the id that it had."""
    stack = cloudformation._stacks[old["StackName"]]
    new_id, old_id = stack["StackId"], old["StackId"]
    stack["StackId"] = old_id
    cloudformation._stack_events.pop(new_id, None)
    for change_set in cloudformation._change_sets.values():
        if change_set["StackId"] == new_id:
            change_set["StackId"] = old_id
    status, headers, body = answer
    return status, headers, body.replace(new_id.encode(), old_id.encode())


def delete_stack(params):
    stack = handlers._resolve_stack(helpers._p(params, "StackName"))
    status = stack["StackStatus"] if stack else ""
    if status.startswith("UPDATE_") and status.endswith("_IN_PROGRESS"):
        return helpers._error(
            "ValidationError", f"Stack [{stack['StackId']}] cannot be deleted while in status {status}"
        )
    return delete_inner(params)


# What a deletion has done with each resource is told, of a stack that is gone as well.

deleted = {}
delete_all_inner = stacks._delete_stack_async
list_inner = handlers._list_stack_resources


async def delete_all(stack_name, stack_id, *rest, **named):
    stack = handlers._resolve_stack(stack_id)
    before = dict(stack.get("_resources", {})) if stack else {}
    await delete_all_inner(stack_name, stack_id, *rest, **named)
    statuses = {it["LogicalResourceId"]: it["ResourceStatus"] for it in cloudformation._stack_events.get(stack_id, [])}
    done = deleted.setdefault(stack_id, {})
    for name, resource in before.items():
        if name not in stack["_resources"]:
            done[name] = {**resource, "ResourceStatus": statuses[name]}


def list_stack_resources(params):
    stack = handlers._resolve_stack(helpers._p(params, "StackName"))
    if not stack:
        return list_inner(params)
    present = stack.get("_resources", {})
    stack["_resources"] = {**deleted.get(stack["StackId"], {}), **present}
    try:
        return list_inner(params)
    finally:
        stack["_resources"] = present


# What a user asks for begins with the event of the stack that says so.

add_inner = stacks._add_event


def add_event(stack_id, stack_name, logical_id, resource_type, status, reason="", *rest, **named):
    begins = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "REVIEW_IN_PROGRESS")
    if resource_type == STACK and logical_id == stack_name and status in begins:
        reason = reason or "User Initiated"
    return add_inner(stack_id, stack_name, logical_id, resource_type, status, reason, *rest, **named)


# Operations take their time, and a deletion ends the making of a stack.

begin_inner = stacks._create_stack_task_in_region


def begin(work, stack, stack_id=None):
    return begin_inner(slowly(work, stack) if is_slow else work, stack, stack_id)


async def slowly(work, stack):
    """Goes on once the stack was seen at it, or after a while. AWS takes minutes."""
    status = stack["StackStatus"]
    if not status.endswith("_IN_PROGRESS"):
        # A deletion tells of itself only when it begins.
        stack["StackStatus"] = status = "DELETE_IN_PROGRESS"
    looks.clear()
    try:
        await asyncio.wait_for(looks.wait(), UNSEEN_S)
    except TimeoutError:
        pass
    if stack["StackStatus"] == status:
        await work
    else:
        work.close()


# A resource fails when a test says so, in words of AWS's; and a function without its package.


def failing(inner, name_at, stack_at):
    def provision(*args):
        for failure in failures:
            is_meant = (failure["stack"], failure["resource"]) == (args[stack_at], args[name_at])
            if is_meant and failure["times"] > 0:
                failure["times"] -= 1
                raise ValueError(failure["reason"])
        if args[0] == "AWS::Lambda::Function":
            # What is wanted stands before the stack's name, and before that what was there.
            wanted, was = args[stack_at - 1].get("Code"), args[stack_at - 2]
            if not isinstance(was, dict) or was.get("Code") != wanted:
                look_for_package(wanted)
        return inner(*args)

    return provision


def look_for_package(code):
    bucket = s3._buckets.get(code.get("S3Bucket"))
    if bucket and code.get("S3Key") in bucket["objects"]:
        return
    missing = "key" if bucket else "bucket"
    raise ValueError(
        f'Resource handler returned message: "Error occurred while GetObject. S3 Error Code: '
        f"NoSuch{missing.title()}. S3 Error Message: The specified {missing} does not exist. (Service: "
        f'Lambda, Status Code: 400)" (HandlerErrorCode: InvalidRequest)'
    )


# The functions' roles may not make log groups, so one that is deleted stays deleted, whoever still has
# something to say.

emit_inner = lambda_svc._emit_lambda_logs


def emit_lambda_logs(func, *args, **named):
    config = func.get("config") or func
    group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
    if group in cloudwatch_logs._log_groups:
        emit_inner(func, *args, **named)


# A handshake's answer has the subprotocol that the connect function chose.

chosen = contextvars.ContextVar("chosen", default=None)
invoke_inner = apigateway._invoke_ws_lambda
handle_inner = apigateway.handle_websocket


async def invoke_ws_lambda(*args, **named):
    answer = await invoke_inner(*args, **named)
    headers = (answer or {}).get("headers") or {}
    names = {name.lower(): value for name, value in headers.items()}
    chosen.set(names.get("sec-websocket-protocol"))
    return answer


async def handle_websocket(scope, receive, send, *args, **named):
    async def answering(message):
        if message["type"] == "websocket.accept" and chosen.get():
            message = {**message, "subprotocol": chosen.get()}
        await send(message)

    await handle_inner(scope, receive, answering, *args, **named)
