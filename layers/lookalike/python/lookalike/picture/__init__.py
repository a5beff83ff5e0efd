"""Pictures as they come: from bytes to pixels, and from a caller's URL to bytes."""
