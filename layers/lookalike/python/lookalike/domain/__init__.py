"""The words of this service, as frozen data. Nothing here reads, writes or waits."""
