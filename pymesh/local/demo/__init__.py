"""The canary story: a mesh folder that `pymesh up` could run too, and the steps that are measured on it."""
