"""What every backend has to do: a Django app with receivers, and the tests that they serve.

For whoever writes a backend: derive a test case from ``suite.BackendSuite``. Never install this
app in a project.
"""
