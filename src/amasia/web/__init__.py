"""The console: pages over the same services and permissions as the API, rendered here and live without any build."""
