"""The four stages as Faust agents: ingest, suggest, learn, measure."""
