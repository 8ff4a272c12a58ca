"""The demo: its configuration, its processes, and the page that shows what runs."""
