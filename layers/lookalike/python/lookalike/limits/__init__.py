"""Limits kept in the memory of this process: fair shares, rates and deadlines."""
