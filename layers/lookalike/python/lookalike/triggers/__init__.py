"""Events that are not HTTP: what they hold, what is done with it, and what is answered to who sent them."""
