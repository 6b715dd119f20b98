"""Parts of a training recipe, one a file."""
