"""What operators need to see: what tasks did, how they do, whether the house works."""
