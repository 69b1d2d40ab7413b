"""Words on a command line → client calls → text or JSON."""
