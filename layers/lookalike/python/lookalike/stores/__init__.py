"""Implementations of the storage ports, in an AWS account or in a folder of one machine."""
