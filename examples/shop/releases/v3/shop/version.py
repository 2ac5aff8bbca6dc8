"""The version that the page shows: the first line that a release changes."""

VERSION = "v3"
