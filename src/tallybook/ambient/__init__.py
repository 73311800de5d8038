"""The impure facts besides the database: clock, fresh ids, settings, secrets, logs, liveness."""
