//! The seam on AWS: objects in S3, rows in DynamoDB, queues in SQS, a topic in SNS.
