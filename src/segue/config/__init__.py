"""segue.toml: schema, loading, reference page."""
