"""The grants: Authlib decides, this package gives it what was loaded and applies what it decided.

The only package that imports Authlib. Knows no HTTP framework, no platform by name and no database.
"""
