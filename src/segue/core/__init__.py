"""The words as types. No I/O."""
