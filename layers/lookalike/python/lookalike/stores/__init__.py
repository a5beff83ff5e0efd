"""Implements the ports that keep something: in an AWS account, or in a folder of one machine."""
