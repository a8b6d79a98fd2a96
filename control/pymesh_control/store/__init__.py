"""Resources: where they come from (`source`), what the folder holds now (`folder`), what of it counts (`catalogue`, `quarantine`)."""
