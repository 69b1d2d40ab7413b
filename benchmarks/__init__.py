"""What things cost, beside their peers in the same run: ``make bench``. Ratios, not verdicts; never run as tests."""
