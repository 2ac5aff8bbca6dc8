"""What is measured and decided: probe, counters, verdict, receipt."""
