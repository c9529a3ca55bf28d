"""What the scripts of the workflow share. A package, so that scripts fetched from a repository find it, too."""
