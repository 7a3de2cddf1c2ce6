"""Room 2: projects, workflows and their versions, subject sets, subjects and their media."""
