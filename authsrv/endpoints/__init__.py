"""The HTTP surface: endpoints parse, call and answer; no rule of the protocol stands here."""
