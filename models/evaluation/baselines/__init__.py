"""The session-based baselines that Sidecart is measured against, one a file."""
