"""The process on a machine: a client with a machine's token. Imports nothing of the user's libraries."""
