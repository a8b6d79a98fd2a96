"""The laptop mesh: process supervisor and demo application."""
