"""Enforces what IAM would: the functions' roles, and bucket policies that deny.

LocalStack's community edition checks no policies. HOST_PERMISSIONS=1 checks
every request of a Lambda function against the inline policies of its role, and
every request to S3 against the bucket policy's Deny statements, as far as they
say: Action, Resource, NotResource with wildcards, and the conditions below. A
condition that is not known here counts as not met, so that an Allow with one
allows nothing. Transport counts as encrypted. Managed policies, boundaries and
policies of queues and topics are not looked at.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time

LOG = logging.getLogger(__name__)

# S3's operations that go by other names in policies.
S3_ACTIONS = {"HeadObject": "GetObject", "ListObjectsV2": "ListBucket", "ListObjects": "ListBucket"}
CODES = {"dynamodb": "AccessDeniedException", "sns": "AuthorizationError"}
ROLE_KEPT_SECONDS = 60.0
EQUALITY = re.compile(r"([#\w]+)\s*=\s*(:\w+)")

_lock = threading.Lock()
_roles_by_key: dict[str, str] = {}
_statements_by_role: dict[str, tuple[float, list[dict]]] = {}


def install() -> None:
    if not enabled():
        return
    from localstack.aws.handlers import serve_custom_service_request_handlers

    serve_custom_service_request_handlers.append(_check)


def enabled() -> bool:
    return os.environ.get("HOST_PERMISSIONS", "").lower() in ("1", "true")


def register(access_key: str | None, role_arn: str) -> None:
    """A function's process has these credentials."""
    if access_key and enabled():
        with _lock:
            _roles_by_key[access_key] = role_arn


def _check(chain, context, response) -> None:
    from localstack.aws.api import CommonServiceException

    if context.service is None or context.operation is None or context.is_internal_call:
        return
    service, operation = context.service.service_name, context.operation.name
    request = context.service_request or {}
    facts = _facts(service, operation, request, context)
    refusal = None
    if service == "s3" and (bucket := request.get("Bucket")):
        if any(_applies(s, facts) for s in _denials(context, bucket)):
            refusal = f"an explicit deny in the policy of bucket {bucket}"
    role = _roles_by_key.get(_access_key(context))
    if refusal is None and role is not None:
        statements = _statements(context, role)
        if any(s["Effect"] == "Deny" and _applies(s, facts) for s in statements):
            refusal = f"an explicit deny in the policies of {role}"
        elif not any(s["Effect"] == "Allow" and _applies(s, facts) for s in statements):
            refusal = f"no policy of {role} allows it"
    if refusal:
        what = f"{facts['action']} on {facts['resource']} {facts['context']}"
        LOG.error("denied: %s: %s", what, refusal)
        code = CODES.get(service, "AccessDenied")
        raise CommonServiceException(code, f"not authorized: {what}: {refusal}", status_code=403)


def _access_key(context) -> str:
    match = re.search(r"Credential=([^/,]+)/", context.request.headers.get("Authorization", ""))
    return match.group(1) if match else ""


def _facts(service: str, operation: str, request: dict, context) -> dict:
    account, region = context.account_id, context.region
    about: dict[str, list[str]] = {"aws:securetransport": ["true"], "aws:sourceaccount": [account]}
    resource = "*"
    if service == "s3":
        operation = S3_ACTIONS.get(operation, operation)
        resource = f"arn:aws:s3:::{request.get('Bucket')}"
        if key := request.get("Key"):
            resource += f"/{key}"
        if operation == "PutObject":
            about["s3:objectcreationoperation"] = ["true"]
            if value := context.request.headers.get("If-None-Match"):
                about["s3:if-none-match"] = [value]
    elif service == "dynamodb":
        resource = f"arn:aws:dynamodb:{region}:{account}:table/{request.get('TableName')}"
        if partition := _partition(request):
            about["dynamodb:leadingkeys"] = [partition]
    elif service == "sqs":
        queue = (request.get("QueueUrl") or "").rstrip("/").split("/")[-1]
        resource = f"arn:aws:sqs:{region}:{account}:{queue}"
    elif service == "sns":
        resource = request.get("TopicArn") or "*"
    return {"action": f"{service}:{operation}", "resource": resource, "context": about}


def _partition(request: dict) -> str | None:
    for keys in (request.get("Key"), request.get("Item")):
        if keys and "pk" in keys:
            return keys["pk"].get("S")
    values, names = request.get("ExpressionAttributeValues") or {}, request.get("ExpressionAttributeNames") or {}
    for name, placeholder in EQUALITY.findall(request.get("KeyConditionExpression") or ""):
        if names.get(name, name) == "pk":
            return values.get(placeholder, {}).get("S")
    return None


def _applies(statement: dict, facts: dict) -> bool:
    if not any(_like(p, facts["action"], True) for p in _list(statement.get("Action"))):
        return False
    if "NotResource" in statement:
        if any(_like(p, facts["resource"]) for p in _list(statement["NotResource"])):
            return False
    elif not any(_like(p, facts["resource"]) for p in _list(statement.get("Resource"))):
        return False
    return all(
        _holds(operator, key.lower(), _list(wanted), facts["context"])
        for operator, keys in (statement.get("Condition") or {}).items()
        for key, wanted in keys.items()
    )


def _holds(operator: str, key: str, wanted: list[str], about: dict[str, list[str]]) -> bool:
    values = about.get(key)
    if operator == "Null":
        return (values is None) == (str(wanted[0]).lower() == "true")
    if operator == "ForAllValues:StringLike":
        return all(any(_like(w, v) for w in wanted) for v in values or ())
    if operator in ("StringLike", "StringEquals", "Bool"):
        return any(_like(str(w), v, operator == "Bool") for w in wanted for v in values or ())
    return False


def _like(pattern: str, text: str, ignore_case: bool = False) -> bool:
    regex = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch(regex, text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def _list(value) -> list:
    return value if isinstance(value, list) else [] if value is None else [value]


def _statements(context, role_arn: str) -> list[dict]:
    with _lock:
        kept = _statements_by_role.get(role_arn)
    if kept and time.monotonic() - kept[0] < ROLE_KEPT_SECONDS:
        return kept[1]
    iam, role = _clients(context).iam, role_arn.split("/")[-1]
    statements: list[dict] = []
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        text = document if isinstance(document, str) else json.dumps(document)
        # dynoxide knows one region, and says so in its tables' names.
        document = json.loads(text.replace(":dynoxide:", f":{context.region}:"))
        statements += _list(document["Statement"])
    with _lock:
        _statements_by_role[role_arn] = (time.monotonic(), statements)
    return statements


def _denials(context, bucket: str) -> list[dict]:
    from localstack.services.s3.models import s3_stores

    for regions in s3_stores.values():
        for store in regions.values():
            if found := store.buckets.get(bucket):
                document = json.loads(found.policy) if found.policy else {}
                return [s for s in _list(document.get("Statement")) if s["Effect"] == "Deny"]
    return []


def _clients(context):
    from localstack.aws.connect import connect_to

    return connect_to(aws_access_key_id=context.account_id, region_name=context.region)
