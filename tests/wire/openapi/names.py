"""What is made before schemathesis begins: a library, and pictures in it."""

LIBRARY = "shop"

IDS = ("sku-1", "sku-2", "sku-3")
