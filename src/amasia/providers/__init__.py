"""Machines: `base` is the contract; each other module is one provider."""
