"""Makes and calibrates models. No handler imports it, and it is not deployed."""
