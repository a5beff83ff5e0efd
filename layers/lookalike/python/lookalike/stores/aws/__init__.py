"""Stores of an AWS account: DynamoDB, OpenSearch, S3, SQS and KMS."""
