"""From source to a release on disk: snapshot, dependencies, retention."""
