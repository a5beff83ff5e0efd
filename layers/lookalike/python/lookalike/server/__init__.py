"""One machine's server: plays API Gateway, S3 events and the schedule in front of the same handlers."""
