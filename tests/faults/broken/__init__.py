"""The product with one safeguard off: apps for workers that must be caught."""
