"""The recount: every log and table compared with what the logs before it determine, one module a comparison."""
