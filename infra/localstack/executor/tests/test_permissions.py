"""Policies are evaluated as IAM does, as far as the template's need it."""

import types
import unittest

from localstack_host import permissions


def facts(service, operation, request, headers=None):
    http = types.SimpleNamespace(headers=headers or {})
    context = types.SimpleNamespace(account_id="0", region="us-east-1", request=http)
    return permissions._facts(service, operation, request, context)


class Rows(unittest.TestCase):
    STATEMENT = {
        "Effect": "Allow",
        "Action": ["dynamodb:GetItem", "dynamodb:Query"],
        "Resource": "arn:aws:dynamodb:us-east-1:0:table/T",
        "Condition": {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["wal/*", "control"]}},
    }

    def applies(self, operation, request):
        return permissions._applies(self.STATEMENT, facts("dynamodb", operation, request))

    def test_partitions_are_looked_for_in_keys_and_conditions(self):
        values = {":pk": {"S": "wal/main/20270115"}, ":a": {"S": "1"}}
        query = {"TableName": "T", "KeyConditionExpression": "pk = :pk AND sk >= :a", "ExpressionAttributeValues": values}
        self.assertTrue(self.applies("Query", query))
        self.assertFalse(self.applies("Query", {**query, "TableName": "U"}))
        self.assertTrue(self.applies("GetItem", {"TableName": "T", "Key": {"pk": {"S": "control"}}}))
        self.assertFalse(self.applies("GetItem", {"TableName": "T", "Key": {"pk": {"S": "head/main"}}}))
        self.assertFalse(self.applies("PutItem", {"TableName": "T", "Item": {"pk": {"S": "control"}}}))


class Objects(unittest.TestCase):
    DENY = {
        "Effect": "Deny",
        "Action": "s3:PutObject",
        "NotResource": "arn:aws:s3:::b/files/*",
        "Condition": {"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}},
    }

    def denied(self, key, headers=None):
        return permissions._applies(self.DENY, facts("s3", "PutObject", {"Bucket": "b", "Key": key}, headers))

    def test_overwriting_is_denied_but_for_files(self):
        self.assertTrue(self.denied("data/x"))
        self.assertFalse(self.denied("data/x", {"If-None-Match": "*"}))
        self.assertFalse(self.denied("files/x"))

    def test_an_unknown_condition_is_not_met(self):
        statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}}
        self.assertFalse(permissions._applies(statement, facts("s3", "GetObject", {"Bucket": "b", "Key": "k"})))


if __name__ == "__main__":
    unittest.main()
