"""Output for users: tables, the live view, pictures and pages. It changes no files of a study."""
