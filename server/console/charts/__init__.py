"""Pictures as SVG that the server draws: pure functions of numbers."""
