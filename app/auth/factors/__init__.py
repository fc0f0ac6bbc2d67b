"""Holds the second factors: the code of an app, a passkey, and the rules of both."""
