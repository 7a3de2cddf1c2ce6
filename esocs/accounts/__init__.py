"""People: users, anonymous sessions, and the volunteer that stands for either."""
