"""Words that everyone shares: money, splits, dates, ids and refusals. Pure: no clock, no I/O."""
