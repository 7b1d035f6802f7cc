"""How good the suggestions are: recorded sessions replayed through the rule and through its rivals."""
