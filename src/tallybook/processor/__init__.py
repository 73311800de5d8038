"""The outside rail: the Processor that moves money between banks, and what is known of it."""
