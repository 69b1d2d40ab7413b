"""Contract suites and fakes, shipped for those who write providers and for our own tests."""
