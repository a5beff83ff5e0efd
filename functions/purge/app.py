"""Takes away for good what was deleted long enough ago; run by a schedule."""

from lookalike import bootstrap

handler = bootstrap.purger()
