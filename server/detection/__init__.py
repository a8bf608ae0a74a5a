"""From facts to a judgement: the anomaly of a running day, the risk of a subject, the alert's words."""
