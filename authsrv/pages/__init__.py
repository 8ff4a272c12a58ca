"""The pages that a player sees in the browser: their content, look, languages and content-security-policy.

Pages are data (`views`), drawn by `render.Pages`. Knows no OAuth, no storage and no platform by name.
Importing this package loads neither the template engine nor Babel: the first page does.
"""
