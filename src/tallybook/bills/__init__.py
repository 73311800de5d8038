"""Bills: household bills read out of messages, and their payment."""
