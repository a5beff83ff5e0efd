"""The handlers of functions: an event in, an answer out, with the ports of this process."""
