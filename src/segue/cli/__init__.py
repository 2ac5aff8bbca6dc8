"""One short function per verb; the only place that prints and exits."""
