"""What volunteers say to one another, what they are told of their work, and what they may take or have erased."""
