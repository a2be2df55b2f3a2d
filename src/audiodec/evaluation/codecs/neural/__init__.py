"""Neural peers in torch. Their weights come from a folder of the user's, or are random."""
