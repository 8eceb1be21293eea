"""What is remembered: records, sessions, jobs and files. Knows SQLAlchemy and core's dataclasses, never the web."""
