"""What happened: the events, the writer, the history with its queries. The only source of verdicts."""
