"""Configuration as files: what the folder holds now (`folder`), and what of it counts (`catalogue`, `quarantine`)."""
