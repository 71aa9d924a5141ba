"""What other programs import by a fixed name."""
