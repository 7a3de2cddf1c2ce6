"""A project read from a Panoptes server's export files into our rows (`services.import_project`)."""
