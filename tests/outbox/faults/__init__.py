"""The faults that the durable mode outlives, by what they hit."""
