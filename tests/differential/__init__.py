"""Conversations played to Onetrip and straight to PostgreSQL, and every answer compared."""
