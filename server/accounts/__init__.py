"""Who signs in to the console: users, passwords, single sign-on, sessions."""
