"""Many Sigma detections at once: parsed, compiled to Python, and indexed by what an event must hold."""
