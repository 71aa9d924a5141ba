"""Alerts: what operators must be told by itself, without looking at a page."""
