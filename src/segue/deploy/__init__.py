"""Plan, converge, execute: how a deploy moves the record."""
