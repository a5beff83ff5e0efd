"""Handling of events other than HTTP requests: batches of uploads from SQS, and of rows from DynamoDB streams."""
