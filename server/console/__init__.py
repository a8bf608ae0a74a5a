"""The console: three people's daily work in a browser, and the same data over a JSON API."""
