"""The use cases, one a module: what the service does, without a word of a dialect, of HTTP or of a store."""
