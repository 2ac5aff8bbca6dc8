"""Where things lie: the layout of `.segue`, durable writes, the lock, the event log."""
