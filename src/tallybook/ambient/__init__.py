"""The only impure facts besides the database: the clock, fresh ids, settings and secrets."""
