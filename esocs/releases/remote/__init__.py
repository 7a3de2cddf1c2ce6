"""Another Panoptes server, spoken to by Zooniverse's own client: projects come from it, subject sets go to it."""
