"""What this process keeps in memory to share itself fairly: permits, rates and deadlines."""
