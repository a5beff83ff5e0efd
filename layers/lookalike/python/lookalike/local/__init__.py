"""The service on one machine: the deployed handlers behind a small HTTP server that plays API Gateway."""
