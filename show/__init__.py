"""The proof of the house: ``make show-house``."""
