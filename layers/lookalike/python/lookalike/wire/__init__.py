"""The dialects: each vendor's wire format, and the HTTP they all speak. A dialect knows no storage."""
