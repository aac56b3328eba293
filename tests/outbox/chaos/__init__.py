"""A project of several processes that end at named points, on the databases of the test."""
